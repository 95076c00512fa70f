import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { App, type Clock, MemorySessionStore, type SessionOptions, type SessionStore } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "../redis/server.js";

const SECRET = "8Zp0c7WwQkS1vB3nT6yR9eA2uX5iL4oM";
/** Machines are busy. */
const patience = { timeout: 120_000 } as const;

let redis: RedisServer;
let slow: { readonly port: number; close(): void };
beforeAll(async () => {
  redis = await startRedis();
  slow = await slowProxy(redis.port, 8);
}, 60_000);
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
  slow.close();
  await redis.stop();
});

/** A TCP proxy on loopback that hands on everything some milliseconds later, in order. */
async function slowProxy(targetPort: number, delayMs: number) {
  const sockets = new Set<Socket>();
  const server = createServer((inner) => {
    const outer = connect({ port: targetPort, host: "127.0.0.1" });
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (bytes) => setTimeout(() => to.writable && to.write(bytes), delayMs));
      from.on("error", () => from.destroy());
      from.on("close", () => to.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy listens on no port");
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: address.port, close };
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** The session cookie that it sets. */
  readonly cookie: string | undefined;
}

/** A server process: what it has in common with others is the store alone. */
async function startServer(store: SessionStore, options: Partial<SessionOptions> = {}, clock?: Clock) {
  const app = new App(clock === undefined ? {} : { clock });
  const events: string[] = [];
  app.on("config.warning", ({ code }) => events.push(code));
  app.on("store.error", ({ message }) => events.push(message));
  app.enableSession({ secret: SECRET, store, ...options });
  app.post<{ Params: { user: string } }>("/login/:user", async (request) => {
    await request.session.regenerate();
    request.session.set("userId", request.params.user);
    return "in";
  });
  app.post("/rotate", async (request) => {
    await request.session.regenerate();
    return "rotated";
  });
  app.post("/logout", async (request) => {
    await request.session.destroy();
    return "out";
  });
  app.post<{ Params: { key: string } }>("/set/:key", (request) => {
    request.session.set(request.params.key, 1);
    return "kept";
  });
  app.post<{ Params: { bytes: string } }>("/fill/:bytes", (request) => {
    try {
      request.session.set("much", "x".repeat(Number(request.params.bytes)));
      return "kept";
    } catch (error) {
      return Object(error).code;
    }
  });
  app.post<{ Params: { user: string } }>("/revoke/:user", async (request) =>
    String(await app.sessions.revokeAll(request.params.user)),
  );
  app.get("/", (request) => request.session.all());
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  closing.push(() => app.close());
  const send = async (method: string, path: string, cookie?: string): Promise<Answer> => {
    const headers: Record<string, string> = cookie === undefined ? {} : { cookie: `session_id=${cookie}` };
    const response = await fetch(url + path, { method, headers });
    const set = /^session_id=([^;]*)/.exec(response.headers.getSetCookie()[0] ?? "")?.[1];
    return { status: response.status, body: await response.text(), cookie: set === "" ? undefined : set };
  };
  return {
    app,
    events,
    post: (path: string, cookie?: string) => send("POST", path, cookie),
    read: async (cookie: string | undefined): Promise<Record<string, unknown>> =>
      cookie === undefined ? {} : JSON.parse((await send("GET", "/", cookie)).body),
  };
}

const redisStore = (port = redis.port) => new RedisStore({ url: `redis://127.0.0.1:${port}`, deadline: 30_000 });

describe.concurrent("two servers with a slow network to their store", () => {
  const ROUNDS = process.env.CELLO_LONG_TESTS === "1" ? 20 : 4;
  type Server = Awaited<ReturnType<typeof startServer>>;
  let one: Server;
  let other: Server;
  const logIn = async (user: string) => (await one.post(`/login/${user}`)).cookie ?? "";

  beforeAll(async () => {
    [one, other] = await Promise.all([startServer(redisStore(slow.port)), startServer(redisStore(slow.port))]);
  }, 60_000);

  it.each([
    ["a logout", "/logout"],
    ["a revocation", "/revoke/"],
  ])("leave nothing of a session when %s and a regenerate meet", patience, async (_what, path) => {
    for (let round = 0; round < ROUNDS; round++) {
      const user = `${path}-${round}`.replaceAll("/", "");
      const cookie = await logIn(user);
      const end = path === "/revoke/" ? `${path}${user}` : path;
      const [rotated, ended] = await Promise.all([one.post("/rotate", cookie), other.post(end, cookie)]);
      expect([rotated.status, ended.status]).toEqual([200, 200]);
      for (const left of [cookie, rotated.cookie]) expect(await one.read(left)).toEqual({});
      expect(await one.app.sessions.list(user)).toEqual([]);
    }
  });

  it("keep a change that meets a regenerate", patience, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const cookie = await logIn("u1");
      const [rotated, changed] = await Promise.all([one.post("/rotate", cookie), other.post("/set/key", cookie)]);
      expect([rotated.status, changed.status]).toEqual([200, 200]);
      // The request that came after the move, if any, was a stranger and got a session of its own.
      if (changed.cookie === undefined) expect(await other.read(rotated.cookie)).toEqual({ userId: "u1", key: 1 });
      expect(await other.read(cookie)).toEqual({});
    }
  });

  it("let one of two regenerates make the new session", patience, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const cookie = await logIn("u1");
      const answers = await Promise.all([one.post("/rotate", cookie), other.post("/rotate", cookie)]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      const read = await Promise.all([cookie, ...answers.map((answer) => answer.cookie)].map((left) => one.read(left)));
      expect(read.filter(({ userId }) => userId === "u1")).toHaveLength(1);
    }
  });

  it("sign nobody in under an id that another request was given", patience, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      // As an attacker plants it: he knows this cookie, and the browser of his victim has it.
      const planted = (await one.post("/set/cart")).cookie ?? "";
      const [attacker, victim] = await Promise.all([one.post("/rotate", planted), other.post("/login/u1", planted)]);
      expect((await one.read(attacker.cookie)).userId).toBeUndefined();
      if (victim.status === 200) expect((await one.read(victim.cookie)).userId).toBe("u1");
      else expect([victim.status, victim.cookie]).toEqual([503, undefined]);
    }
  });
});

describe.concurrent("150 requests that change one session at once", () => {
  it.each([1, 3])("are all answered and all kept, by %i servers", patience, async (count) => {
    // The commands of others would be counted too.
    const own = await startRedis();
    const ownSlow = await slowProxy(own.port, 8);
    const servers = await Promise.all(Array.from({ length: count }, () => startServer(redisStore(ownSlow.port))));
    const cookie = (await servers[0]?.post("/login/u1"))?.cookie ?? "";
    await own.command("CONFIG", "RESETSTAT");
    const answers = await Promise.all(
      Array.from({ length: 150 }, (_, index) => servers[index % count]?.post(`/set/key-${index}`, cookie)),
    );
    expect(answers.filter((answer) => answer?.status !== 200)).toEqual([]);
    expect(Object.keys((await servers[0]?.read(cookie)) ?? {})).toHaveLength(151);
    // One by one they would be 150, and many times that with conflicts.
    const saves = /cmdstat_evalsha:calls=(\d+)/.exec(await own.command("INFO", "commandstats"))?.[1];
    expect(Number(saves)).toBeLessThan(100);
    for (const { events } of servers) expect(events).toEqual([]);
    for (const { app } of servers) await app.close();
    ownSlow.close();
    await own.stop();
  });
});

describe.concurrent("a session that is too large for a store", () => {
  it.each([
    ["in memory", () => new MemorySessionStore()],
    ["in Redis", () => redisStore()],
  ])("throws in the handler, %s, and what was there stays", patience, async (_where, make) => {
    const server = await startServer(make());
    const cookie = (await server.post("/login/u1")).cookie ?? "";
    expect((await server.post("/fill/200000", cookie)).body).toBe("kept");
    expect((await server.post("/fill/262144", cookie)).body).toBe("CELLO_SESSION_TOO_LARGE");
    expect(String((await server.read(cookie)).much)).toHaveLength(200_000);
    const roomy = await startServer(make(), { maxBytes: 1_000_000 });
    expect((await roomy.post("/fill/500000")).body).toBe("kept");
  });
});

describe.concurrent("a process whose clock is wrong", () => {
  const off = (minutes: number): Clock => ({
    wallMs: () => Date.now() + minutes * 60_000,
    monotonicMs: () => performance.now(),
  });

  it.each([-5, 5])("by %i minutes keeps the sessions of others, and they keep its own", patience, async (minutes) => {
    const right = await startServer(redisStore(), { idleTimeout: 120 });
    const wrong = await startServer(redisStore(), { idleTimeout: 120 }, off(minutes));
    const user = `off by ${minutes}`;
    for (const [from, to] of [
      [wrong, right],
      [right, wrong],
    ] as const) {
      const { cookie } = await from.post(`/login/${user}`);
      expect(await from.read(cookie)).toEqual({ userId: user });
      expect(await to.read(cookie)).toEqual({ userId: user });
      const [session] = await to.app.sessions.list(user);
      expect(Math.abs((session?.lastUsedAt ?? 0) - Date.now())).toBeLessThan(30_000);
      expect(await from.app.sessions.revokeAll(user)).toBe(1);
    }
    expect(wrong.events).toEqual(["CELLO_CLOCK_SKEW"]);
    expect(right.events).toEqual([]);
  });
});
