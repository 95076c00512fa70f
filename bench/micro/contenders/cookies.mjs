// A session in its cookie: opened, a number in it counted up, closed again. Each turn has another cookie.
// With params.part "open" or "seal" only that half, on one cookie that nobody remembers.
import { hkdfSync } from "node:crypto";

const SECRET = "a session secret of the benchmark, longer than 32 bytes";
const DATA = { userId: "u1", n: 0 };

export const contenders = {
  async "cello, sealed"({ part } = {}) {
    const { CookieSealer } = await import("../../../dist/session/cookie-sealer.js");
    const { SessionKeyRing } = await import("../../../dist/session/key-ring.js");
    const maxAgeMs = 86_400_000;
    const { SessionConfig } = await import("../../../dist/index.js");
    const ring = new SessionKeyRing(new SessionConfig({ secret: SECRET }).secret, maxAgeMs);
    const sealer = new CookieSealer(ring, "session_id");
    return contender(part, {
      open: (value) => JSON.parse(sealer.open(value, Date.now()).text),
      seal: (data) => sealer.seal(JSON.stringify(data), Date.now()),
    });
  },
  // What an application has: the whole way of a request through the sessions, with the cookie that this process
  // has just made and remembers. Its opening is a lookup, so this is no measure of opening.
  async "cello, session of a request, remembered"() {
    const { SessionConfig } = await import("../../../dist/index.js");
    const { SessionManager } = await import("../../../dist/session/manager.js");
    const { EventHub } = await import("../../../dist/core/events.js");
    const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
    const manager = new SessionManager(new SessionConfig({ secret: SECRET }), { clock, events: new EventHub() });
    const opened = (cookie) => {
      // A string of its own each time, as a parsed header is.
      const header = cookie === undefined ? undefined : Buffer.from(cookie, "latin1").latin1Slice();
      return manager.open({ header: () => header });
    };
    const committed = (session) => manager.commit(session).split(";", 1)[0];
    const first = opened(undefined);
    first.set("userId", DATA.userId);
    first.set("n", DATA.n);
    let cookie = committed(first);
    return {
      isAsync: false,
      check: () => checkCookie(opened(cookie).all()),
      op: () => {
        const session = opened(cookie);
        session.set("n", session.get("n") + 1);
        cookie = committed(session);
        return cookie;
      },
    };
  },
  async "@fastify/secure-session, sealed"({ part } = {}) {
    const { default: fastify } = await import("fastify");
    const { default: cookie } = await import("@fastify/cookie");
    const { default: secureSession } = await import("@fastify/secure-session");
    const app = fastify();
    await app.register(cookie);
    await app.register(secureSession, { key: Buffer.from(hkdfSync("sha256", SECRET, "", "bench", 32)) });
    await app.ready();
    return contender(part, {
      open: (value) => {
        const session = app.decodeSecureSession(value);
        return { userId: session.get("userId"), n: session.get("n") };
      },
      seal: (data) => app.encodeSecureSession(app.createSecureSession(data)),
    });
  },
  async "iron-session, sealed"({ part } = {}) {
    const { sealData, unsealData } = await import("iron-session");
    return asyncContender(part, {
      open: (value) => unsealData(value, { password: SECRET }),
      seal: (data) => sealData(data, { password: SECRET }),
    });
  },
  async "cookie-session, only signed"({ part } = {}) {
    // The two parts that cookie-session is made of: base64 JSON, and Keygrip's signature over name and value.
    const { default: Keygrip } = await import("keygrip");
    const keys = new Keygrip([SECRET]);
    return contender(part, {
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

function contender(part, { open, seal }) {
  let cookie = seal({ ...DATA });
  const check = () => checkCookie(open(cookie));
  if (part === "open") return { isAsync: false, check, op: () => open(cookie).n };
  if (part === "seal") return { isAsync: false, check, op: (turn) => seal({ userId: DATA.userId, n: turn }) };
  return {
    isAsync: false,
    check,
    op: () => {
      const data = open(cookie);
      data.n++;
      cookie = seal(data);
      return cookie;
    },
  };
}

async function asyncContender(part, { open, seal }) {
  let cookie = await seal({ ...DATA });
  const check = async () => checkCookie(await open(cookie));
  if (part === "open") return { isAsync: true, check, op: async () => (await open(cookie)).n };
  if (part === "seal") return { isAsync: true, check, op: (turn) => seal({ userId: DATA.userId, n: turn }) };
  return {
    isAsync: true,
    check,
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
