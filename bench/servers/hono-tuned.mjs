// Hono tuned: a CryptoKey imported once, and the session in a signed cookie instead of an encrypted one.
import { createPublicKey } from "node:crypto";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { startHono } from "./hono-stack.mjs";

const IMPORTS = {
  HS256: { name: "HMAC", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
};

export async function start(settings) {
  const { algorithm, verificationKey, sessionSecret } = settings;
  const isSymmetric = algorithm.startsWith("HS");
  const material = isSymmetric
    ? Buffer.from(verificationKey)
    : createPublicKey(verificationKey).export({ type: "spki", format: "der" });
  const format = isSymmetric ? "raw" : "spki";
  const key = await crypto.subtle.importKey(format, material, IMPORTS[algorithm], false, ["verify"]);
  return startHono(settings, { key, session: signedCookieSession(sessionSecret) });
}

/** A session in a cookie that is signed and not encrypted, written again when it changed. */
function signedCookieSession(secret) {
  return async (c, next) => {
    const cookie = await getSignedCookie(c, secret, "session");
    const data = cookie ? JSON.parse(cookie) : {};
    let isChanged = false;
    c.set("session", {
      get: (name) => data[name],
      set(name, value) {
        data[name] = value;
        isChanged = true;
      },
    });
    await next();
    if (isChanged) {
      await setSignedCookie(c, "session", JSON.stringify(data), secret, { path: "/", httpOnly: true, sameSite: "Lax" });
    }
  };
}
