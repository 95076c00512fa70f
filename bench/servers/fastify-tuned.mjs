// Fastify's plugins tuned: verified tokens are cached, and the session is a sealed cookie (libsodium).
import { hkdfSync } from "node:crypto";
import secureSession from "@fastify/secure-session";
import { startFastify } from "./fastify-stack.mjs";

export function start(settings) {
  const key = Buffer.from(hkdfSync("sha256", settings.sessionSecret, "", "bench", 32));
  return startFastify(settings, {
    jwtVerify: { cache: true },
    registerSession: (app) => app.register(secureSession, { key, cookie: { path: "/", httpOnly: true } }),
    read: (current, name) => current.get(name),
    write: (current, name, value) => current.set(name, value),
  });
}
