import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { App, StoreUnavailableError } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RedisConnection } from "../../src/redis/connection.js";
import { type RedisStoreOptions, readRedisOptions } from "../../src/redis/options.js";
import { RedisRevocations } from "../../src/redis/revocations.js";
import { built } from "../built.js";
import { SHARED_MS, sharedCluster } from "../shared/shared.js";
import { cutableProxy, type RedisServer, startRedis } from "./server.js";
import { until as untilWithin } from "./turns.js";

const childFile = fileURLToPath(new URL("revocation-child.ts", import.meta.url));
const secret = "a secret of more than thirty-two bytes, for tests";
/** What "effective on every machine within a second" means. */
const SECOND = 1000;
/** Eight times the default: on a machine that runs other tests too, a healthy Redis may need longer than 50 ms. */
const deadline = 400;

let redis: RedisServer;
let program: string;
beforeAll(async () => {
  [redis, program] = await Promise.all([startRedis(), built(childFile)]);
}, 60_000);
afterAll(() => redis.stop());

/** What one test has to itself. All begin together, since they spend their time waiting, and share one Redis. */
class Own {
  /** Before the names of this test's keys. */
  readonly prefix: string;
  readonly #cleanUps: (() => unknown)[] = [];

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** Called at the end of the test; what was given last comes first. */
  readonly cleanUp = (action: () => unknown) => void this.#cleanUps.push(action);

  /** A list on a connection of its own, as another process would have it. */
  readonly machine = async (options: RedisStoreOptions = { url: redis.url }) => {
    const connection = new RedisConnection(readRedisOptions({ prefix: this.prefix, deadline, ...options }));
    const list = new RedisRevocations(connection);
    this.cleanUp(() => connection.close());
    this.cleanUp(() => list.close());
    await list.open();
    return list;
  };

  readonly keys = (part: string) => `${this.prefix}:revocation:{r}:${part}`;

  /** A Redis that no other test uses. */
  readonly server = async () => {
    const server = await startRedis();
    this.cleanUp(() => server.stop());
    return server;
  };

  async end(): Promise<void> {
    for (const action of this.#cleanUps.reverse()) await action();
  }
}

let lists = 0;
function it(name: string, run: (own: Own) => Promise<void>, patience = 20_000): void {
  test.concurrent(name, { timeout: patience }, async ({ onTestFinished }) => {
    const own = new Own(`list${lists++}`);
    onTestFinished(() => own.end());
    await run(own);
  });
}

const until = (condition: () => boolean | Promise<boolean>, limit = SECOND) => untilWithin(condition, limit);
const seconds = () => Date.now() / 1000;

describe.concurrent("revocations in Redis", () => {
  it("are known on every machine within a second, and on one that starts later at once", async ({ machine }) => {
    const [a, b] = [await machine(), await machine()];
    await a.revoke("t1", seconds() + 60);
    await b.revokeAll("u1", Date.now());
    expect(a.isRevoked({ jti: "t1" })).toBe(true);
    await until(() => b.isRevoked({ jti: "t1" }) && a.isRevoked({ sub: "u1" }));
    const c = await machine();
    expect(c.isCurrent).toBe(true);
    expect(c.isRevoked({ jti: "t1" })).toBe(true);
    expect(c.isRevoked({ sub: "u1" })).toBe(true);
    expect(c.isRevoked({ jti: "u1", sub: "t1" })).toBe(false);
  });

  it("are asked for often enough, on the connection for commands alone", async ({ machine, server }) => {
    const own = await server();
    const [a, b] = [await machine({ url: own.url }), await machine({ url: own.url })];
    for (let index = 0; index < 4; index++) {
      await a.revoke(`l${index}`, undefined);
      await until(() => b.isRevoked({ jti: `l${index}` }), 600);
    }
    // One for each machine, and the one that asks.
    expect((await own.command("CLIENT", "LIST")).match(/ addr=/g)).toHaveLength(3);
  });

  it("refuse the tokens of a subject that were issued until then, and no later ones", async ({ machine }) => {
    const [a, b] = [await machine(), await machine()];
    const now = Math.floor(seconds()) * 1000;
    await a.revokeAll("u", now);
    await b.revokeAll("u", now - 5000);
    await until(() => b.revokedUntilMs("u") === now);
    for (const list of [a, b]) {
      expect(list.isRevoked({ sub: "u", iat: now / 1000 })).toBe(true);
      expect(list.isRevoked({ sub: "u", iat: now / 1000 + 1 })).toBe(false);
      expect(list.isRevoked({ sub: "u" })).toBe(true);
    }
  });

  it("keep every id and subject as it is, whatever characters it has", async ({ machine }) => {
    const [a, b] = [await machine(), await machine()];
    const names = ["", " ", "a:b:c", "\n\r\n", '"', "ü😀", "\ud800", "__proto__", "inf", "x".repeat(5000)];
    for (const name of names) {
      await a.revoke(name, seconds() + 60);
      await a.revokeAll(name, Date.now());
    }
    const c = await machine();
    await until(() => b.size === a.size);
    for (const list of [b, c]) {
      for (const name of names) {
        expect(list.isRevoked({ jti: name })).toBe(true);
        expect(list.isRevoked({ sub: name })).toBe(true);
      }
      expect(list.isRevoked({ jti: "\ufffd" })).toBe(false);
    }
  });

  it("are loaded again by who is too far behind for the log", async ({ cleanUp, machine, keys }) => {
    const proxy = await cutableProxy(redis.port);
    cleanUp(() => proxy.close());
    const [a, b] = [await machine(), await machine({ url: `redis://127.0.0.1:${proxy.port}` })];
    await a.revoke("before", undefined);
    await until(() => b.isRevoked({ jti: "before" }));
    proxy.cut();
    await until(() => !b.isCurrent, 1500);
    await a.revoke("meanwhile", undefined);
    await a.revoke("later", undefined);
    // As if ten thousand had followed.
    const seq = (await redis.command("HGET", keys("state"), "seq")).split("\r\n")[1] ?? "";
    await redis.command("HSET", keys("state"), "floor", seq);
    await redis.command("DEL", keys("log"));
    proxy.heal();
    await until(() => b.isCurrent, 3000);
    expect(b.isRevoked({ jti: "meanwhile" })).toBe(true);
  });
});

describe.concurrent("what Redis keeps of revocations", () => {
  it("goes when the tokens have expired", async ({ machine, keys }) => {
    const a = await machine();
    await a.revoke("old", seconds() - 120);
    await a.revoke("new", seconds() + 60);
    await a.revokeAll("gone", Date.now() - 86_400_000 - 120_000);
    await a.revokeAll("here", Date.now());
    await until(async () => (await redis.command("ZCARD", keys("tokens"))) === ":1");
    await until(async () => (await redis.command("HLEN", keys("subjects"))) === ":1");
    expect(await redis.command("ZCARD", keys("expiry"))).toBe(":1");
  });

  it("goes by itself when nobody asks any more", async ({ machine, keys }) => {
    const a = await machine();
    await a.revoke("t", seconds() + 100);
    await a.revokeAll("u", Date.now(), 2 * 86_400);
    const ttl = async (part: string) => Number((await redis.command("TTL", keys(part))).slice(1));
    // A minute longer than the tokens.
    expect(await ttl("tokens")).toBeGreaterThan(150);
    expect(await ttl("tokens")).toBeLessThanOrEqual(161);
    for (const part of ["subjects", "expiry"]) expect(await ttl(part)).toBeGreaterThan(2 * 86_400);
    for (const part of ["log", "state"]) expect(await ttl(part)).toBeGreaterThan(86_000);
    await a.revoke("for ever", undefined);
    expect(await ttl("tokens")).toBe(-1);
    await a.revoke("for almost ever", 1e300);
    await a.revoke("before all time", -1e300);
    expect(await redis.command("ZCARD", keys("tokens"))).toMatch(/^:[34]$/);
  });

  it("is bounded for the log, whose oldest entries go", async ({ machine, keys }) => {
    const a = await machine();
    await a.revoke("first", undefined);
    const script = `for i = 1, 10000 do redis.call('ZADD', KEYS[1], i, i .. ':t:0:inf:"x"') end`;
    await redis.command("EVAL", script, "1", keys("log"));
    await a.revoke("second", undefined);
    expect(await redis.command("ZCARD", keys("log"))).toBe(":10000");
    expect(await redis.command("HGET", keys("state"), "floor")).toBe("$1\r\n2");
  });

  it("is told no second time by what is known already", async ({ machine, keys }) => {
    const a = await machine();
    await a.revoke("t", seconds() + 100);
    const before = await redis.command("HGET", keys("state"), "seq");
    await a.revoke("t", seconds() + 50);
    expect(await redis.command("HGET", keys("state"), "seq")).toBe(before);
    expect(await redis.command("ZCARD", keys("log"))).toBe(":1");
  });
});

describe.concurrent("when Redis fails", () => {
  it("revocations survive its restart as an empty one, as long as one process lives", async ({
    machine,
    keys,
    server,
  }) => {
    const own = await server();
    const [a, b] = [await machine({ url: own.url }), await machine({ url: own.url })];
    await a.revoke("t", seconds() + 600);
    await b.revokeAll("u", Date.now());
    await until(() => a.size === 2 && b.size === 2);
    await own.restart();
    await until(() => a.isCurrent && b.isCurrent, 3000);
    await until(async () => (await own.command("ZCARD", keys("tokens"))) === ":1");
    const c = await machine({ url: own.url });
    expect(c.isRevoked({ jti: "t" })).toBe(true);
    expect(c.isRevoked({ sub: "u" })).toBe(true);
  });

  it("a copy that is older than a second counts as out of date, and is current soon after it is back", async ({
    machine,
    server,
  }) => {
    const own = await server();
    const a = await machine({ url: own.url });
    const changes: boolean[] = [];
    await a.open(() => changes.push(a.isCurrent));
    await own.kill("SIGSTOP");
    const beganMs = performance.now();
    const time = await until(() => !a.isCurrent, 1500);
    expect(performance.now() - beganMs).toBeGreaterThan(500);
    expect(time).toBeLessThan(1300);
    // A machine that stands still makes a copy old before a question has failed.
    await until(() => a.failure !== undefined, 5000);
    expect(a.failure).toMatch(/./);
    await own.kill("SIGCONT");
    await until(() => a.isCurrent, 2000);
    // It may be told apart that the copy is old and that Redis fails.
    expect(changes.length).toBeLessThanOrEqual(3);
    expect([changes[0], changes.at(-1)]).toEqual([false, true]);
  });

  it("what could not be told is told when it is back", async ({ machine, server }) => {
    const own = await server();
    const [a, b] = [await machine({ url: own.url }), await machine({ url: own.url })];
    await own.kill("SIGSTOP");
    await expect(a.revoke("t", seconds() + 60)).rejects.toThrow();
    await expect(a.revokeAll("u", Date.now())).rejects.toThrow();
    expect(a.isRevoked({ jti: "t" })).toBe(true);
    await own.kill("SIGCONT");
    await until(() => b.isRevoked({ jti: "t" }) && b.isRevoked({ sub: "u" }), 3000);
  });

  it("a server that lost its last seconds learns them again", async ({ machine, keys }) => {
    const [a, b] = [await machine(), await machine()];
    await a.revoke("kept", undefined);
    const snapshot = await Promise.all(["state", "tokens", "log"].map((part) => redis.command("DUMP", keys(part))));
    expect(snapshot.every((dump) => dump.startsWith("$"))).toBe(true);
    await redis.command("COPY", keys("state"), keys("state-then"));
    await redis.command("COPY", keys("tokens"), keys("tokens-then"));
    await redis.command("COPY", keys("log"), keys("log-then"));
    await a.revoke("lost", undefined);
    await until(() => b.isRevoked({ jti: "lost" }));
    // In one step, as a replica takes over.
    const back = `for i = 1, 3 do redis.call('RENAME', KEYS[i], KEYS[i + 3]) end`;
    const names = [...["state-then", "tokens-then", "log-then"], ...["state", "tokens", "log"]].map(keys);
    await redis.command("EVAL", back, "6", ...names);
    await until(async () => (await redis.command("ZCARD", keys("tokens"))) === ":2");
    const c = await machine();
    expect(c.isRevoked({ jti: "kept" })).toBe(true);
    expect(c.isRevoked({ jti: "lost" })).toBe(true);
  });

  it("a process that starts without it does not wait for long, and catches up", async ({ machine, server }) => {
    const own = await server();
    await own.kill("SIGKILL");
    const start = performance.now();
    const a = await machine({ url: own.url });
    expect(performance.now() - start).toBeLessThan(2500);
    expect(a.isCurrent).toBe(false);
    await expect(a.revoke("early", undefined)).rejects.toThrow();
    await own.restart();
    await until(() => a.isCurrent, 3000);
    const b = await machine({ url: own.url });
    expect(b.isRevoked({ jti: "early" })).toBe(true);
  });
});

describe.concurrent("an app with a RedisStore for tokens", () => {
  /** An app, its log of events, and what it answers to a token. */
  async function service({ cleanUp, prefix }: Own, url: string, onStoreError?: "deny" | "allow") {
    const app = new App();
    const told: string[] = [];
    app.enableJwt({ secret, store: new RedisStore({ url, prefix, deadline }), onStoreError });
    app.on("store.error", ({ store }) => told.push(`${store} failed`));
    app.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
    app.on("token.rejected", ({ reason }) => told.push(reason));
    app.get("/me", () => "me");
    await app.fastify.ready();
    cleanUp(() => app.close());
    const ask = (token: string) => app.inject({ url: "/me", headers: { authorization: `Bearer ${token}` } });
    const status = async (token: string) => (await ask(token)).statusCode;
    return { app, told, ask, status };
  }

  it("refuses on every machine what was revoked on one, remembered tokens too", async (all) => {
    const [a, b] = [await service(all, redis.url), await service(all, redis.url)];
    const token = a.app.jwt.sign({ sub: "u" }, { jti: true });
    const other = a.app.jwt.sign({ sub: "v" });
    for (let index = 0; index < 3; index++) expect(await b.status(token)).toBe(200);
    await a.app.jwt.revoke(a.app.jwt.verify(token));
    await a.app.jwt.revokeAll("v");
    await until(async () => (await b.status(token)) === 401 && (await b.status(other)) === 401);
    expect(await b.status(b.app.jwt.sign({ sub: "v" }))).toBe(200);
    expect(await a.status(a.app.jwt.sign({ sub: "w" }))).toBe(200);
  });

  it("answers 503 with Retry-After while Redis is down, says so once, and needs no restart", async (all) => {
    const { server } = all;
    const own = await server();
    const { app, told, ask, status } = await service(all, own.url);
    const token = app.jwt.sign({ sub: "u" }, { jti: true });
    await until(async () => (await status(token)) === 200);
    await own.kill("SIGKILL");
    await until(async () => (await status(token)) === 503, 1500);
    const answer = await ask(token);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.json()).toMatchObject({ status: 503, title: "Service Unavailable" });
    await expect(app.jwt.revoke("x", seconds() + 9)).rejects.toThrow(StoreUnavailableError);
    await expect(app.jwt.useOnce({ jti: "x", exp: seconds() + 9 })).rejects.toThrow(StoreUnavailableError);
    await own.restart();
    await until(async () => (await status(token)) === 200, 2000);
    expect(await app.jwt.useOnce({ jti: "x", exp: seconds() + 9 })).toBe(true);
    expect(new Set(told)).toContain("revocations_unavailable");
    expect(told.filter((entry) => entry.startsWith("rev") && entry !== "revocations_unavailable")).toEqual([
      "revocation failed",
      "revocation recovered",
    ]);
    expect(told.filter((entry) => entry.startsWith("replay"))).toEqual(["replay failed", "replay recovered"]);
  });

  it('goes on with its copy when onStoreError is "allow"', async (all) => {
    const { server } = all;
    const own = await server();
    const { app, told, status } = await service(all, own.url, "allow");
    const [good, bad] = [app.jwt.sign({ sub: "u" }, { jti: true }), app.jwt.sign({ sub: "u" }, { jti: true })];
    await app.jwt.revoke(app.jwt.verify(bad));
    await own.kill("SIGKILL");
    await until(() => told.includes("revocation failed"), 1500);
    expect([await status(good), await status(bad)]).toEqual([200, 401]);
    await expect(app.jwt.revoke(app.jwt.verify(good))).rejects.toThrow(StoreUnavailableError);
    expect(await status(good)).toBe(401);
  });

  it("starts and answers 503 when Redis is not there", async (all) => {
    const { server } = all;
    const own = await server();
    await own.kill("SIGKILL");
    const { app, told, status } = await service(all, own.url);
    expect(await status(app.jwt.sign({ sub: "u" }))).toBe(503);
    expect(told).toEqual(["revocation failed", "revocations_unavailable"]);
  });
});

describe.concurrent("two processes", () => {
  it("revoke for each other and use a token once between them", async (all) => {
    const { cleanUp, server } = all;
    const own = await server();
    const child = await startChild(all, own.url);
    const app = new App();
    app.enableJwt({ secret, store: new RedisStore({ url: own.url, deadline }) });
    app.get("/me", () => "me");
    await app.fastify.ready();
    cleanUp(() => app.close());
    const token = app.jwt.sign({ sub: "u", jti: "t" });
    const there = async () => (await fetch(`${child.address}/me`, bearer(token))).status;
    const here = async (sent: string) => (await app.inject({ url: "/me", ...bearer(sent) })).statusCode;
    expect(await there()).toBe(200);
    await app.jwt.revoke("t", seconds() + 60);
    await until(async () => (await there()) === 401);

    const other = app.jwt.sign({ sub: "v" });
    expect(await here(other)).toBe(200);
    await child.send({ revokeAll: "v" });
    await until(async () => (await here(other)) === 401);

    expect(await app.jwt.useOnce({ jti: "once", exp: seconds() + 60 })).toBe(true);
    expect(await child.send({ useOnce: "once" })).toEqual({ isFirst: false });
    expect(await child.send({ useOnce: "twice" })).toEqual({ isFirst: true });
    expect(await app.jwt.useOnce({ jti: "twice", exp: seconds() + 60 })).toBe(false);

    // The other one dies, Redis comes back empty: what was revoked there is still known here.
    child.process.kill("SIGKILL");
    await own.restart();
    await until(async () => (await own.command("ZCARD", "cello:revocation:{r}:tokens")) === ":1", 3000);
    const next = await startChild(all, own.url);
    expect((await fetch(`${next.address}/me`, bearer(token))).status).toBe(401);
    expect((await fetch(`${next.address}/me`, bearer(other))).status).toBe(401);
  });
});

describe.concurrent("a Redis Cluster", () => {
  it(
    "has all keys of the list in one slot, and shares it as one server does",
    async ({ machine }) => {
      const nodes = (await sharedCluster()).map(({ port }) => ({ host: "127.0.0.1", port }));
      const [a, b] = [await machine({ cluster: nodes }), await machine({ cluster: nodes.slice(1) })];
      await a.revoke("t", seconds() + 60);
      await b.revokeAll("u", Date.now());
      await until(() => b.isRevoked({ jti: "t" }) && a.isRevoked({ sub: "u" }));
      const c = await machine({ cluster: nodes });
      expect([c.isRevoked({ jti: "t" }), c.isRevoked({ sub: "u" })]).toEqual([true, true]);
    },
    SHARED_MS,
  );
});

// Six thousand at once keep this process so busy that what others measure would be late.
describe("many revocations in Redis", () => {
  it("are loaded in parts, and caught up with, however many they are", async ({ machine }) => {
    const a = await machine();
    const b = await machine();
    const count = 3000;
    await Promise.all(
      Array.from({ length: count }, (_, index) => [
        a.revoke(`t${index}`, seconds() + 600).catch(() => {}),
        a.revokeAll(`u${index}`, Date.now()).catch(() => {}),
      ]).flat(),
    );
    await until(() => b.size === 2 * count, 5000);
    const c = await machine();
    expect(c.size).toBe(2 * count);
  });
});

function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}

/** A process of its own, with an app of its own. */
async function startChild({ cleanUp }: Own, url: string) {
  const process_: ChildProcess = spawn(process.execPath, [program, url, secret], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  cleanUp(() => process_.kill("SIGKILL"));
  const { stdin, stdout } = process_;
  if (stdin === null || stdout === null) throw new Error("no pipes");
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? "null");
  const hello = Object(await answer());
  return {
    process: process_,
    address: String(hello.address),
    async send(command: Record<string, string>) {
      stdin.write(`${JSON.stringify(command)}\n`);
      return answer();
    },
  };
}
