// Express as the READMEs advise: the secret as a string, express-session with its in-memory store.
import session from "express-session";
import { startExpress } from "./express-stack.mjs";

export function start(settings) {
  return startExpress(settings, {
    key: settings.verificationKey,
    session: session({ secret: settings.sessionSecret, resave: false, saveUninitialized: false }),
  });
}
