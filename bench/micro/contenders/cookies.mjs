// A session in its cookie: opened, a number in it counted up, closed again. Each turn has another cookie.
import { hkdfSync } from "node:crypto";

const SECRET = "a session secret of the benchmark, longer than 32 bytes";
const DATA = { userId: "u1", n: 0 };

export const contenders = {
  async "cello, sealed"() {
    const { CookieSealer } = await import("../../../dist/session/seal.js");
    const { SessionKeyRing } = await import("../../../dist/session/key-ring.js");
    const maxAgeMs = 86_400_000;
    const { SessionConfig } = await import("../../../dist/index.js");
    const ring = new SessionKeyRing(new SessionConfig({ secret: SECRET }).secret, maxAgeMs);
    const sealer = new CookieSealer(ring, "session_id", maxAgeMs);
    return contender(false, {
      open: (value) => JSON.parse(sealer.open(value, Date.now()).text),
      seal: (data) => sealer.seal(JSON.stringify(data), Date.now()),
    });
  },
  async "@fastify/secure-session, sealed"() {
    const { default: fastify } = await import("fastify");
    const { default: cookie } = await import("@fastify/cookie");
    const { default: secureSession } = await import("@fastify/secure-session");
    const app = fastify();
    await app.register(cookie);
    await app.register(secureSession, { key: Buffer.from(hkdfSync("sha256", SECRET, "", "bench", 32)) });
    await app.ready();
    return contender(false, {
      open: (value) => {
        const session = app.decodeSecureSession(value);
        return { userId: session.get("userId"), n: session.get("n") };
      },
      seal: (data) => app.encodeSecureSession(app.createSecureSession(data)),
    });
  },
  async "iron-session, sealed"() {
    const { sealData, unsealData } = await import("iron-session");
    return asyncContender({
      open: (value) => unsealData(value, { password: SECRET }),
      seal: (data) => sealData(data, { password: SECRET }),
    });
  },
  async "cookie-session, only signed"() {
    // The two parts that cookie-session is made of: base64 JSON, and Keygrip's signature over name and value.
    const { default: Keygrip } = await import("keygrip");
    const keys = new Keygrip([SECRET]);
    return contender(false, {
      open: (cookie) => {
        const [value, signature] = cookie.split(";");
        if (keys.index(`session=${value}`, signature) !== 0) throw new Error("signature");
        return JSON.parse(Buffer.from(value, "base64").toString());
      },
      seal: (data) => {
        const value = Buffer.from(JSON.stringify(data)).toString("base64");
        return `${value};${keys.sign(`session=${value}`)}`;
      },
    });
  },
};

function contender(isAsync, { open, seal }) {
  let cookie = seal(DATA);
  return {
    isAsync,
    check: () => checkCookie(open(cookie)),
    op: () => {
      const data = open(cookie);
      data.n++;
      cookie = seal(data);
      return cookie;
    },
  };
}

async function asyncContender({ open, seal }) {
  let cookie = await seal(DATA);
  return {
    isAsync: true,
    check: async () => checkCookie(await open(cookie)),
    op: async () => {
      const data = await open(cookie);
      data.n++;
      cookie = await seal(data);
      return cookie;
    },
  };
}

function checkCookie(data) {
  if (data.userId !== "u1" || data.n !== 0) throw new Error(`the cookie held ${JSON.stringify(data)}`);
}
