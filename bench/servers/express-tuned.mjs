// Express tuned: a KeyObject (jsonwebtoken tries to parse a string as PEM on every request), and cookie-session.
import { createPublicKey, createSecretKey } from "node:crypto";
import cookieSession from "cookie-session";
import { startExpress } from "./express-stack.mjs";

export function start(settings) {
  const { algorithm, verificationKey, sessionSecret } = settings;
  return startExpress(settings, {
    key: algorithm.startsWith("HS") ? createSecretKey(Buffer.from(verificationKey)) : createPublicKey(verificationKey),
    session: cookieSession({ name: "session", keys: [sessionSecret] }),
  });
}
