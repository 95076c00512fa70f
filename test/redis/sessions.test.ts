import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ConfigError } from "cello";
import { RedisSessionStore, RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { built } from "../built.js";
import { sharedCluster } from "../shared/shared.js";
import { type RedisServer, startRedis } from "./server.js";
import { openSessionApp, type SessionApp } from "./session-app.js";
import type { SessionOrder } from "./session-process.js";

const PROCESSES = 4;
/** Set `CELLO_LONG_TESTS` for more. */
const WRITES = process.env.CELLO_LONG_TESTS === undefined ? 1600 : 20_000;
/** So few that processes meet. */
const SESSIONS = WRITES / 80;
const LEAST_CONFLICTS = 20;
/** Processes start slowly on a machine that is busy. */
const patience = { timeout: 120_000 } as const;

let redis: RedisServer;
let processes: readonly ChildProcess[] = [];
const opened: SessionApp[] = [];
beforeAll(async () => {
  redis = await startRedis();
  const program = await built(fileURLToPath(new URL("./session-process.ts", import.meta.url)));
  processes = Array.from({ length: PROCESSES }, () => fork(program, [redis.url], { execArgv: [] }));
  await Promise.all(processes.map((child) => once(child, "message")));
}, 60_000);
afterAll(async () => {
  for (const child of processes) child.disconnect();
  for (const { app } of opened) await app.close();
  await redis.stop();
});

function open(...[options, more]: Parameters<typeof openSessionApp>): SessionApp {
  const app = openSessionApp(options, more);
  opened.push(app);
  return app;
}

let prefixes = 0;
/** Keys of a test's own: those that wait begin together. */
const ownPrefix = () => `sessions${prefixes++}`;

/** Tells another process with the same Redis what to do, one thing after the other. */
async function tell(child: ChildProcess | undefined, order: SessionOrder): Promise<unknown> {
  if (child === undefined) throw new Error("no process");
  const answered = once(child, "message");
  child.send(order);
  const [{ answer, error }] = await answered;
  if (error !== undefined) throw new Error(error);
  return answer;
}

/** What a process answers to the order to write. */
function readWritten(value: unknown): {
  readonly acknowledged: readonly (readonly string[])[];
  readonly conflicts: number;
} {
  const { acknowledged, conflicts } = Object(value);
  if (!Array.isArray(acknowledged) || typeof conflicts !== "number")
    throw new TypeError("a process answered otherwise");
  return { acknowledged, conflicts };
}

/** The keys under which sessions are. */
function sessionKeys(prefix: string): Promise<readonly string[]> {
  return keysLike(`${prefix}:session:*`);
}

async function keysLike(pattern: string): Promise<readonly string[]> {
  const answer = await redis.command("KEYS", pattern);
  return answer.split("\r\n").filter((line) => line.startsWith(pattern.replace(/:.*/, ":")));
}

async function pttl(key: string): Promise<number> {
  return Number((await redis.command("PTTL", key)).slice(1));
}

describe("sessions that many processes write at once", () => {
  it("lose no write that was acknowledged", patience, async () => {
    const parent = open({ url: redis.url });
    const logins = await Promise.all(Array.from({ length: SESSIONS }, () => parent.logIn("u1")));
    const cookies = logins.map(({ cookie }) => cookie);
    const answers = await Promise.all(
      processes.map((child, index) =>
        tell(child, { kind: "write", cookies, name: `p${index}`, writes: WRITES / PROCESSES, inARow: 10, inFlight: 6 }),
      ),
    );
    const written = answers.map(readWritten);
    const kept = await Promise.all(cookies.map((cookie) => parent.read(cookie)));
    const lost: string[] = [];
    let acknowledged = 0;
    for (const [index, values] of kept.entries()) {
      const keys = written.flatMap((process) => process.acknowledged[index] ?? []);
      acknowledged += keys.length;
      lost.push(...keys.filter((key) => values[key] !== 1));
      expect(values.userId).toBe("u1");
    }
    expect(lost).toEqual([]);
    expect(acknowledged).toBe(WRITES);
    // Else they were no competitors, and nothing was tried. One save carries the writes of a process that wait for it.
    expect(written.reduce((sum, { conflicts }) => sum + conflicts, 0)).toBeGreaterThan(LEAST_CONFLICTS);
    expect(await parent.app.sessions.list("u1")).toHaveLength(SESSIONS);
  });
});

describe.concurrent("the sessions of a user on several processes", () => {
  it("are listed and ended from any of them", patience, async () => {
    const here = open({ url: redis.url });
    const there = (order: SessionOrder) => tell(processes[0], order);
    const phone = await here.logIn("u2");
    const laptop = await here.logIn("u2");
    const other = await here.logIn("u3");
    const listed = await here.app.sessions.list("u2");
    expect(listed).toHaveLength(2);
    expect(await there({ kind: "list", userId: "u2" })).toEqual(listed);

    expect(await there({ kind: "revokeAll", userId: "u2", except: phone.id })).toBe(1);
    expect(await here.read(phone.cookie)).toEqual({ userId: "u2" });
    expect(await here.read(laptop.cookie)).toEqual({});
    expect(await here.set(laptop.cookie, "back")).toBe(false);

    const [left] = await here.app.sessions.list("u2");
    expect(await there({ kind: "revoke", id: left?.id ?? "" })).toBe(true);
    expect(await there({ kind: "revoke", id: left?.id ?? "" })).toBe(false);
    expect(await here.read(phone.cookie)).toEqual({});
    expect(await there({ kind: "list", userId: "u2" })).toEqual([]);
    expect(await here.read(other.cookie)).toEqual({ userId: "u3" });
  });

  it("do not come back by requests that are under way when they are ended", patience, async () => {
    const here = open({ url: redis.url });
    const there = open({ url: redis.url });
    for (let round = 0; round < 20; round++) {
      const { cookie } = await here.logIn("u4");
      const writes = Array.from({ length: 10 }, (_, index) => here.set(cookie, `k${index}`));
      expect(await there.app.sessions.revokeAll("u4")).toBe(1);
      await Promise.all(writes);
      expect(await here.read(cookie)).toEqual({});
      expect(await there.app.sessions.list("u4")).toEqual([]);
    }
  });
});

describe.concurrent("a session in Redis", () => {
  it("expires there at the end of its lifetime", async () => {
    const prefix = ownPrefix();
    const { logIn } = open({ url: redis.url, prefix }, { maxAge: 3600 });
    await logIn("u1");
    const [key = ""] = await sessionKeys(prefix);
    expect(await pttl(key)).toBeGreaterThan(3_590_000);
    expect(await pttl(key)).toBeLessThanOrEqual(3_600_000);
    expect(await pttl(`${prefix}:session-user:{u1}`)).toBeGreaterThan(3_590_000);
    expect(await pttl(`${prefix}:session-user:{u1}`)).toBeLessThanOrEqual(3_600_000);
  });

  it("expires there when it was idle, and its place in the index not before", async () => {
    const prefix = ownPrefix();
    const { logIn } = open({ url: redis.url, prefix }, { maxAge: 3600, idleTimeout: 60 });
    await logIn("u1");
    const [key = ""] = await sessionKeys(prefix);
    expect(await pttl(key)).toBeGreaterThan(50_000);
    expect(await pttl(key)).toBeLessThanOrEqual(60_000);
    expect(await pttl(`${prefix}:session-user:{u1}`)).toBeGreaterThan(60_000);
    expect(await pttl(`${prefix}:session-user:{u1}`)).toBeLessThanOrEqual(120_000);
  });

  it("is gone there without anybody asking, and then is nobody's", async ({ expect }) => {
    const prefix = ownPrefix();
    const { logIn, read, app } = open({ url: redis.url, prefix }, { maxAge: 2 });
    const { cookie } = await logIn("u1");
    expect(await read(cookie)).toEqual({ userId: "u1" });
    // Not more than the key that counts the processes.
    await expect.poll(() => keysLike(`${prefix}:session*`), { timeout: 10_000 }).toEqual([]);
    expect(await read(cookie)).toEqual({});
    expect(await app.sessions.list("u1")).toEqual([]);
  });

  it("is used for longer when it is used", async ({ expect }) => {
    const { logIn, read } = open({ url: redis.url }, { maxAge: 60, idleTimeout: 2 });
    const { cookie } = await logIn("u1");
    const end = Date.now() + 2500;
    while (Date.now() < end) {
      expect(await read(cookie)).toEqual({ userId: "u1" });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await expect.poll(() => read(cookie), { interval: 2200, timeout: 10_000 }).toEqual({});
  });

  it("leaves nothing behind at logout", async () => {
    const prefix = ownPrefix();
    const { logIn, logOut } = open({ url: redis.url, prefix });
    const { cookie } = await logIn("u1");
    expect(await keysLike(`${prefix}:session*`)).toHaveLength(2);
    await logOut(cookie);
    expect(await keysLike(`${prefix}:session*`)).toEqual([]);
  });

  it("is known there by the hash of its id", async () => {
    const prefix = ownPrefix();
    const { logIn, app } = open({ url: redis.url, prefix });
    const { id } = await logIn("u1");
    const [key] = await sessionKeys(prefix);
    const [listed] = await app.sessions.list("u1");
    expect(key).toBe(`${prefix}:session:{${listed?.id}}`);
    expect(key).not.toContain(id);
  });

  it("is answered with 503 when its key holds something else", async () => {
    const prefix = ownPrefix();
    const { logIn, read, set } = open({ url: redis.url, prefix });
    const { cookie } = await logIn("u1");
    const [key = ""] = await sessionKeys(prefix);
    for (const command of [
      ["HSET", key, "d", "not JSON"],
      ["HSET", key, "d", '{"data":[]}'],
      ["HSET", key, "d", '{"data":{}}', "e", "soon"],
      ["HDEL", key, "v"],
      ["SET", key, "text"],
    ]) {
      await redis.command(...command);
      await expect(read(cookie)).rejects.toThrow("503");
      expect(await set(cookie, "key")).toBe(false);
    }
  });

  it("keeps its place in the index through ordinary use, for one round trip a request", patience, async () => {
    const own = await startRedis();
    const { logIn, set } = open({ url: own.url }, { maxAge: 3600, idleTimeout: 600 });
    const { cookie } = await logIn("u1");
    await own.command("CONFIG", "RESETSTAT");
    for (let times = 0; times < 10; times++) expect(await set(cookie, `key-${times}`)).toBe(true);
    const stats = await own.command("INFO", "commandstats");
    const calls = (command: string) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    // The process gives signs of life meanwhile; a place in the index would be written with the same two commands.
    const signs = calls("zremrangebyscore");
    expect(calls("evalsha") - signs).toBe(10);
    expect(calls("zadd")).toBe(signs);
    await own.stop();
  });
});

describe.concurrent("the index of a user", () => {
  it("loses what is past when it is written and when it is read", async () => {
    const prefix = ownPrefix();
    const store = new RedisStore({ url: redis.url, prefix, deadline: 10_000 });
    const index = `${prefix}:session-user:{u1}`;
    await redis.command("ZADD", index, "1000", "past");
    expect(await store.list("u1")).toEqual([]);
    expect(await redis.command("EXISTS", index)).toBe(":0");
    await redis.command("ZADD", index, "1000", "past");
    const now = Date.now();
    const times = { createdAt: now, lastUsedAt: now, expiresAt: now + 60_000, forgetAt: now + 60_000 };
    await store.save("id", { data: {}, version: 1, userId: "u1", ...times }, 0);
    expect(await redis.command("ZRANGE", index, "0", "-1")).toBe("*1\r\n$2\r\nid");
    await store.close();
  });

  it("has a session before the session is there, and names none that is not", async () => {
    const prefix = ownPrefix();
    const store = new RedisStore({ url: redis.url, prefix, deadline: 10_000 });
    // As it stands when a process ends between the two.
    await redis.command("ZADD", `${prefix}:session-user:{u1}`, String(Date.now() + 60_000), "unsaved");
    expect(await store.list("u1")).toEqual([]);
    const now = Date.now();
    const times = { createdAt: now, lastUsedAt: now, expiresAt: now + 60_000, forgetAt: now + 60_000 };
    await store.save("unsaved", { data: {}, version: 1, userId: "u1", ...times }, 0);
    expect((await store.list("u1")).map(({ id }) => id)).toEqual(["unsaved"]);
    await store.close();
  });
});

describe.concurrent("app.sessions", () => {
  it("says what is missing", async () => {
    const { App } = await import("cello");
    expect(() => new App().sessions).toThrow(/App.sessions: is not enabled; call app.enableSession\(...\) first/);
    const sealed = new App().enableSession({ secret: "a secret of more than thirty-two bytes, for tests" });
    expect(() => sealed.sessions).toThrow(ConfigError);
    expect(() => sealed.sessions).toThrow(/SessionConfig.store: is not given/);
    expect(() => sealed.security.userSessions).toThrow(/SessionConfig.store: is not given/);
  });

  it("rejects while Redis is away, and works when it is back", patience, async ({ expect }) => {
    const server = await startRedis();
    const { app, logIn } = open({ url: server.url, deadline: 200 });
    await logIn("u1");
    await server.kill("SIGKILL");
    await expect(app.sessions.list("u1")).rejects.toThrow(/the session store failed/);
    await expect(app.sessions.revokeAll("u1")).rejects.toMatchObject({ code: "CELLO_STORE_UNAVAILABLE" });
    await server.restart();
    await expect.poll(() => app.sessions.list("u1").catch(() => undefined), { timeout: 10_000 }).toEqual([]);
    await logIn("u1");
    expect(await app.sessions.revokeAll("u1")).toBe(1);
    await server.stop();
  });
});

describe.concurrent("on a Redis Cluster", () => {
  it("sessions and their index work across the nodes", patience, async () => {
    const cluster = await sharedCluster();
    const prefix = ownPrefix();
    const options = { cluster: cluster.map(({ port }) => ({ host: "127.0.0.1", port })), prefix };
    const [here, there] = [open(options), open(options)];
    const logins = await Promise.all(Array.from({ length: 30 }, (_, index) => here.logIn(`u${index % 3}`)));
    const kept = await Promise.all(cluster.map((node) => node.command("KEYS", `${prefix}:session:*`)));
    for (const keys of kept) expect(keys).not.toBe("*0");
    for (const { cookie } of logins) {
      const writes = Array.from({ length: 6 }, (_, index) => (index % 2 ? here : there).set(cookie, `k${index}`));
      expect(await Promise.all(writes)).not.toContain(false);
      expect(Object.keys(await there.read(cookie))).toHaveLength(7);
    }
    expect(await there.app.sessions.list("u0")).toHaveLength(10);
    expect(await there.app.sessions.revokeAll("u0", { except: logins[0]?.id })).toBe(9);
    expect(await here.app.sessions.list("u0")).toHaveLength(1);
    expect(await here.app.sessions.list("u1")).toHaveLength(10);
  });
});

describe.concurrent("RedisSessionStore", () => {
  it("is made of options or of a store, and does the same", async () => {
    const store = new RedisStore({ url: redis.url, deadline: 10_000, prefix: "alone" });
    const stores = [store, new RedisSessionStore(store), new RedisSessionStore({ url: redis.url, prefix: "alone" })];
    const now = Date.now();
    const times = { createdAt: now, lastUsedAt: now, expiresAt: now + 60_000, forgetAt: now + 60_000 };
    for (const [version, one] of stores.entries()) {
      expect(await one.save("id", { data: {}, version: version + 1, userId: "u1", ...times }, version)).toBe("saved");
      for (const other of stores) expect((await other.load("id"))?.version).toBe(version + 1);
    }
    for (const one of stores) {
      expect(await one.touch("id", times)).toBe(true);
      expect(await one.list("u1")).toHaveLength(1);
    }
    await stores[2]?.delete("id");
    expect(await store.load("id")).toBeUndefined();
    for (const one of stores) await one.close();
  });
});
