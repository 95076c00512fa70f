// Fastify's plugins as their READMEs advise: @fastify/session with its in-memory store.
import session from "@fastify/session";
import { startFastify } from "./fastify-stack.mjs";

export function start(settings) {
  return startFastify(settings, {
    jwtVerify: {},
    registerSession: (app) =>
      app.register(session, { secret: settings.sessionSecret, saveUninitialized: false, cookie: { secure: false } }),
    read: (current, name) => current.get(name),
    write: (current, name, value) => current.set(name, value),
  });
}
