import { setTimeout as wait } from "node:timers/promises";
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RedisConnection, RedisDeadlineError, RedisUnavailableError } from "../../src/redis/connection.js";
import { Fleet } from "../../src/redis/fleet.js";
import { type RedisStoreOptions, readRedisOptions } from "../../src/redis/options.js";
import { defineScript } from "../../src/redis/script.js";
import { expectSurvival } from "../hostile/survival.js";
import {
  type CutableProxy,
  cutableProxy,
  freePort,
  type RedisServer,
  startCluster,
  startRedis,
  startSentinel,
} from "./server.js";
import { TurnClock } from "./turns.js";

expectSurvival();

const ECHO = defineScript("return ARGV[1]");
let redis: RedisServer;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  turns.stop();
  for (const one of opened.reverse()) await one.close();
  await redis.stop();
});

function connect(options: RedisStoreOptions): RedisConnection {
  const connection = new RedisConnection(readRedisOptions(options));
  opened.push(connection);
  return connection;
}

async function throughProxy(): Promise<{ connection: RedisConnection; proxy: CutableProxy }> {
  const proxy = await cutableProxy(redis.port);
  opened.push(proxy);
  const connection = connect({ url: `redis://127.0.0.1:${proxy.port}` });
  await connection.open(2000);
  return { connection, proxy };
}

const turns = new TurnClock();

/** Milliseconds in which this process came to its turns. */
async function timeOf(action: Promise<unknown>): Promise<number> {
  const start = turns.nowMs();
  await action.catch(() => {});
  return turns.nowMs() - start;
}

/** Whether all of these fail before a timer or Redis can have a part in it. */
async function failAtOnce(actions: readonly Promise<unknown>[]): Promise<boolean> {
  const outcomes = Promise.allSettled(actions).then((all) => all.every(({ status }) => status === "rejected"));
  const turn = new Promise((resolve) => setImmediate(resolve));
  return Promise.race([outcomes, turn.then(() => false)]);
}

describe.concurrent("a connection", () => {
  it("answers the first command, sent before it is connected", async () => {
    expect(await connect({ url: redis.url, deadline: 1000 }).run(ECHO, [], ["first"])).toBe("first");
  });

  it("rejects without the arguments of the command, which may be the data of a session", async () => {
    const failing = defineScript("return redis.error_reply('OOM no memory')");
    const error: unknown = await connect({ url: redis.url, deadline: 1000 })
      .run(failing, [], ["private"])
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: expect.stringContaining("OOM") });
    expect(inspect(error, { depth: null })).not.toContain("private");
  });

  it("loads a script that the server has forgotten", async () => {
    const connection = connect({ url: redis.url });
    await connection.open(2000);
    expect(await connection.run(ECHO, [], ["one"])).toBe("one");
    await redis.command("SCRIPT", "FLUSH");
    expect(await Promise.all(["two", "three"].map((word) => connection.run(ECHO, [], [word])))).toEqual([
      "two",
      "three",
    ]);
    expect(await redis.command("SCRIPT", "EXISTS", ECHO.sha1)).toBe("*1\r\n:1");
  });

  it("waits for one deadline when nothing answers, and not at all after that", async () => {
    const { connection, proxy } = await throughProxy();
    proxy.cut();
    await expect(connection.run(ECHO, [], ["x"])).rejects.toThrow(RedisDeadlineError);
    expect(await failAtOnce(Array.from({ length: 20 }, () => connection.run(ECHO, [], ["x"])))).toBe(true);
    await expect(connection.run(ECHO, [], ["x"])).rejects.toThrow("did not answer within 50 ms");
  });

  it("says why there is no connection, and waits no longer than a deadline for the first", async () => {
    const port = await freePort();
    const connection = connect({ url: `redis://127.0.0.1:${port}` });
    // The deadline is 50 ms, connecting would go on for ever; the rest is for a machine that is busy.
    expect(await timeOf(connection.run(ECHO, [], ["x"]))).toBeLessThan(1000);
    await wait(100);
    await expect(connection.run(ECHO, [], ["x"])).rejects.toThrow(`ECONNREFUSED 127.0.0.1:${port}`);
    expect(await connection.open(50)).toBe(false);
  });

  it("finds a server that comes after it", async () => {
    const port = await freePort();
    const connection = connect({ url: `redis://127.0.0.1:${port}` });
    await connection.run(ECHO, [], ["x"]).catch(() => {});
    const late = await startRedis({ port });
    opened.push({ close: () => late.stop() });
    const startMs = performance.now();
    await vi.waitFor(() => connection.run(ECHO, [], ["here"]), { timeout: 5000, interval: 10 });
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  it("does not carry out later what it told as failed", async () => {
    const port = await freePort();
    const connection = connect({ url: `redis://127.0.0.1:${port}` });
    await expect(connection.send("late", (client) => client.set("late", "1"))).rejects.toThrow();
    const late = await startRedis({ port });
    opened.push({ close: () => late.stop() });
    await vi.waitFor(() => connection.run(ECHO, [], ["x"]), { timeout: 5000, interval: 20 });
    expect(await late.command("EXISTS", "late")).toBe(":0");
  });

  it("is not down for an error that Redis answered", async () => {
    const connection = connect({ url: redis.url });
    await connection.open(2000);
    const wrong = defineScript("return redis.call('NOSUCHCOMMAND')");
    for (let count = 0; count < 10; count++) await expect(connection.run(wrong, [], [])).rejects.toThrow(/Unknown/);
    expect(await connection.run(ECHO, [], ["x"])).toBe("x");
  });

  it("refuses at once when it is closed, however often that is", async () => {
    const connection = connect({ url: redis.url });
    await connection.open(2000);
    await connection.close();
    await connection.close();
    await expect(connection.run(ECHO, [], ["x"])).rejects.toThrow(RedisUnavailableError);
    expect(await failAtOnce([connection.run(ECHO, [], ["x"])])).toBe(true);
  });

  it("uses a client of the application, connects a lazy one, and leaves it open", async () => {
    const client = new Redis(redis.url, { lazyConnect: true, protocol: 2 });
    opened.push({ close: () => client.disconnect() });
    const connection = connect({ client });
    expect(await connection.open(2000)).toBe(true);
    expect(await connection.run(ECHO, [], ["x"])).toBe("x");
    await connection.close();
    expect(await client.ping()).toBe("PONG");
  });
});

it.concurrent("has a client of the application connect again after a silent cut", async () => {
  const proxy = await cutableProxy(redis.port);
  opened.push(proxy);
  const client = new Redis(`redis://127.0.0.1:${proxy.port}`, {
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  });
  client.on("error", () => {});
  opened.push({ close: () => client.disconnect() });
  const connection = connect({ client });
  await connection.open(2000);
  // On a busy machine a first answer may be later than the deadline.
  await vi.waitFor(() => connection.run(ECHO, [], ["before"]), { timeout: 8000, interval: 20 });
  proxy.cut();
  await expect(connection.run(ECHO, [], ["x"])).rejects.toThrow(RedisDeadlineError);
  // The old connection hears nothing any more, ever.
  proxy.heal();
  await vi.waitFor(() => connection.run(ECHO, [], ["after"]), { timeout: 8000, interval: 20 });
});

it.concurrent("finds the primary that Sentinels watch", async () => {
  const sentinel = await startSentinel(redis.port);
  opened.push({ close: () => sentinel.stop() });
  const sentinels = [{ host: "127.0.0.1", port: sentinel.port }];
  const connection = connect({ sentinel: { name: "primary", sentinels } });
  expect(await connection.open(5000)).toBe(true);
  expect(await connection.run(ECHO, [], ["x"])).toBe("x");
});

describe.concurrent("a fleet", () => {
  it("counts the processes that give signs of life, and notices who signs off", async () => {
    let nowMs = 0;
    const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
    const connection = connect({ url: redis.url, prefix: "fleet-test" });
    await connection.open(2000);
    const fleets = Array.from({ length: 3 }, () => new Fleet(connection, 1, clock));
    for (const fleet of fleets) fleet.start();
    for (const fleet of fleets) await fleet.beat();
    const [first, second, third] = fleets;
    expect(third?.processes).toBe(3);
    await third?.close();
    await first?.beat();
    // A Redis that lost its memory would say the same: the share grows only when it lasts.
    for (const elapsedMs of [1000, 1000, 999]) {
      nowMs += elapsedMs;
      await first?.beat();
      expect(first?.processes).toBe(3);
    }
    nowMs += 1;
    await first?.beat();
    expect(first?.processes).toBe(2);
    await first?.close();
    await second?.close();
    expect(await redis.command("ZCARD", "fleet-test:fleet")).toBe(":0");
  });

  it("trusts a smaller count only when it has lasted without a failure and without a pause", async () => {
    let nowMs = 0;
    const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
    let answer: unknown = [4, 2];
    const connection = connect({ url: redis.url, prefix: "fleet-trust" });
    vi.spyOn(connection, "run").mockImplementation(async () => {
      if (answer instanceof Error) throw answer;
      return answer;
    });
    const fleet = new Fleet(connection, 2, clock);
    const beat = async (elapsedMs: number, says: unknown) => {
      nowMs += elapsedMs;
      answer = says;
      await fleet.beat();
      return [fleet.processes, fleet.rank];
    };
    expect([fleet.processes, fleet.rank]).toEqual([2, undefined]);
    expect(await beat(0, [4, 2])).toEqual([4, 2]);
    // Back after three seconds, empty: the first to come finds itself.
    for (const elapsedMs of [1000, 1000, 1000]) expect(await beat(elapsedMs, new Error("gone"))).toEqual([4, 2]);
    expect(await beat(1000, [1, 0])).toEqual([4, 2]);
    expect(await beat(1000, [3, 1])).toEqual([4, 2]);
    expect(await beat(1000, new Error("gone"))).toEqual([4, 2]);
    for (const elapsedMs of [1000, 1000, 1000]) expect(await beat(elapsedMs, [3, 1])).toEqual([4, 2]);
    // A process that stood still knows nothing of what was meanwhile.
    expect(await beat(5000, [1, 0])).toEqual([4, 2]);
    for (const elapsedMs of [1000, 1000]) expect(await beat(elapsedMs, [1, 0])).toEqual([4, 2]);
    expect(await beat(1000, [1, 0])).toEqual([2, 0]);
    expect(await beat(1000, [6, 5])).toEqual([6, 5]);
  });

  it("keeps the last count while Redis is away", async () => {
    const { connection, proxy } = await throughProxy();
    const fleets = [new Fleet(connection), new Fleet(connection)] as const;
    for (const fleet of fleets) await fleet.beat();
    expect(fleets[1].processes).toBe(2);
    proxy.cut();
    await fleets[1].beat();
    expect(fleets[1].processes).toBe(2);
  });
});

describe.concurrent("a Cluster", () => {
  it("runs scripts, also when a node dies", async () => {
    const cluster = await startCluster();
    opened.push(cluster.nodes[0] === undefined ? { close() {} } : { close: () => cluster.stop() });
    const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const connection = connect({ cluster: nodes });
    expect(await connection.open(5000)).toBe(true);
    const keys = Array.from({ length: 50 }, (_, index) => `{${index}}`);
    const SET = defineScript("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])");
    const answers = await Promise.all(keys.map((key, index) => connection.run(SET, [key], [index])));
    expect(answers).toEqual(keys.map((_, index) => String(index)));

    await cluster.nodes[2]?.kill("SIGKILL");
    const times = await Promise.all(keys.map((key) => timeOf(connection.run(SET, [key], [1]))));
    expect(Math.max(...times)).toBeLessThan(1000);
  });
});
