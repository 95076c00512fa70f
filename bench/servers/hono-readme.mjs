// Hono as the READMEs advise: the secret as a string, hono-sessions with its encrypted cookie.
import { CookieStore, sessionMiddleware } from "hono-sessions";
import { startHono } from "./hono-stack.mjs";

export function start(settings) {
  return startHono(settings, {
    key: settings.verificationKey,
    session: sessionMiddleware({
      store: new CookieStore(),
      encryptionKey: settings.sessionSecret,
      expireAfterSeconds: 900,
      cookieOptions: { sameSite: "Lax", path: "/", httpOnly: true },
    }),
  });
}
