import { setTimeout as wait } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { RedisConnection } from "../../src/redis/connection.js";
import { readRedisOptions } from "../../src/redis/options.js";
import { RevocationCopy } from "../../src/redis/revocation-copy.js";
import { RevocationTransfer } from "../../src/redis/revocation-transfer.js";
import { RedisRevocations } from "../../src/redis/revocations.js";
import { expectSurvival } from "../hostile/survival.js";
import { cutableProxy, type RedisServer, startRedis } from "./server.js";

expectSurvival();

/** Longer than the default: the machines of these tests share one event loop. */
const DEADLINE_MS = 500;
/** Set `CELLO_LONG_TESTS` for as many as the documentation speaks of. */
const TOKENS = process.env.CELLO_LONG_TESTS === undefined ? 60_000 : 200_000;
/** Enough for a list to be filled in parts, and to be met half filled. */
const SOME_TOKENS = 20_000;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function server(): Promise<RedisServer> {
  const redis = await startRedis();
  cleanUps.push(() => redis.stop());
  return redis;
}

function connect(url: string): RedisConnection {
  const connection = new RedisConnection(readRedisOptions({ url, deadline: DEADLINE_MS }));
  cleanUps.push(() => connection.close());
  return connection;
}

/** A list on a connection of its own, as another process would have it; not waited for. */
function start(url: string) {
  const list = new RedisRevocations(connect(url));
  cleanUps.push(() => list.close());
  return { list, opening: list.open() };
}

async function machine(url: string): Promise<RedisRevocations> {
  const { list } = start(url);
  await until(() => list.isCurrent);
  return list;
}

/** Fills an empty Redis with many tokens, as if they had been revoked long ago. */
async function revokeMany(url: string, count: number): Promise<void> {
  const connection = connect(url);
  const copy = new RevocationCopy(2 * count);
  const expiresMs = Date.now() + 3_600_000;
  for (let index = 0; index < count; index++) copy.add({ kind: "t", name: `t${index}`, untilMs: 0, expiresMs });
  for (let index = 0; index < 100; index++) copy.add({ kind: "s", name: `s${index}`, untilMs: 1, expiresMs });
  const transfer = new RevocationTransfer(connection, copy);
  const { epoch, phase } = await transfer.ask("", "0", 1);
  expect(phase).toBe("fill");
  expect(await transfer.fill(epoch, 0)).toBe(true);
  await connection.close();
}

async function until(condition: () => boolean | Promise<boolean>, limit = 20_000): Promise<number> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > limit) throw new Error(`not within ${limit} ms`);
    await wait(5);
  }
  return performance.now() - start;
}

const key = (part: string) => `cello:revocation:{r}:${part}`;
const isWhole = async (redis: RedisServer) => (await redis.command("HGET", key("state"), "whole")) === "$1\r\n1";
const knowsAll = (list: RedisRevocations, count: number) =>
  Array.from({ length: count }, (_, index) => list.isRevoked({ jti: `t${index}` })).every(Boolean);

describe("when Redis comes back without the list of revoked tokens", () => {
  it("processes that know it go on, one of them fills it, and a new one waits for it", async () => {
    const redis = await server();
    await revokeMany(redis.url, TOKENS);
    const lists = [await machine(redis.url), await machine(redis.url)];
    await redis.restart();
    const startMs = performance.now();
    const fresh = start(redis.url);
    let outMs = 0;
    let wasWrong = false;
    let last = performance.now();
    while (!(await isWhole(redis)) || !fresh.list.isCurrent) {
      await wait(5);
      const now = performance.now();
      if (!lists.every(({ isCurrent }) => isCurrent)) outMs += now - last;
      wasWrong ||= fresh.list.isCurrent && !fresh.list.isRevoked({ jti: "t0" });
      last = now;
      expect(now - startMs).toBeLessThan(60_000);
    }
    const freshMs = performance.now() - startMs;
    console.info(
      `out of date for ${outMs.toFixed(0)} ms; a new process knows ${TOKENS} after ${freshMs.toFixed(0)} ms`,
    );
    expect(wasWrong).toBe(false);
    expect(outMs).toBeLessThan(3000);
    expect(knowsAll(fresh.list, TOKENS)).toBe(true);
    expect(fresh.list.isRevoked({ sub: "s99" })).toBe(true);
    expect(await redis.command("ZCARD", key("tokens"))).toBe(`:${TOKENS}`);
    // Filling is no news: who knew it has nothing to read.
    expect(Number((await redis.command("ZCARD", key("log"))).slice(1))).toBeLessThan(5001);
    await fresh.opening;
  }, 90_000);

  it("another process goes on where the one that fills it stopped", async () => {
    const redis = await server();
    await revokeMany(redis.url, SOME_TOKENS);
    const proxy = await cutableProxy(redis.port);
    cleanUps.push(() => proxy.close());
    const first = await machine(`redis://127.0.0.1:${proxy.port}`);
    const second = await machine(redis.url);
    await redis.command("FLUSHALL");
    const filled = async () => Number((await redis.command("HGET", key("state"), "filled")).split("\r\n")[1] ?? "0");
    await until(async () => (await filled()) > 3);
    // Whoever it is that fills.
    const before = await filled();
    proxy.cut();
    first.close();
    await until(() => isWhole(redis));
    expect(before).toBeLessThan(256);
    expect(await redis.command("ZCARD", key("tokens"))).toBe(`:${SOME_TOKENS}`);
    expect(second.isRevoked({ jti: "t1" })).toBe(true);
    const third = await machine(redis.url);
    expect(knowsAll(third, SOME_TOKENS)).toBe(true);
  }, 60_000);

  it("each process adds what it alone knew", async () => {
    const redis = await server();
    const proxies = await Promise.all([1, 2].map(() => cutableProxy(redis.port)));
    for (const proxy of proxies) cleanUps.push(() => proxy.close());
    const lists = await Promise.all(proxies.map(({ port }) => machine(`redis://127.0.0.1:${port}`)));
    const [a, b] = lists;
    if (a === undefined || b === undefined) throw new Error("no machines");
    await Promise.all([a.revoke("both", undefined), until(() => b.isRevoked({ jti: "both" }))]);
    proxies[1]?.cut();
    await a.revoke("a alone", undefined);
    await expect(b.revoke("b alone", undefined)).rejects.toThrow();
    await redis.restart();
    await until(() => a.isCurrent && !b.isCurrent);
    proxies[1]?.heal();
    await until(() => a.isRevoked({ jti: "b alone" }) && b.isRevoked({ jti: "a alone" }));
    const c = await machine(redis.url);
    for (const jti of ["both", "a alone", "b alone"]) expect(c.isRevoked({ jti })).toBe(true);
  }, 60_000);

  it("a copy that was being made then is not taken for the whole list", async () => {
    const redis = await server();
    await revokeMany(redis.url, SOME_TOKENS);
    const whole = await machine(redis.url);
    const fresh = start(redis.url);
    await until(() => fresh.list.size > 0);
    expect(fresh.list.size).toBeLessThan(SOME_TOKENS);
    await redis.restart();
    await until(() => fresh.list.isCurrent);
    expect(knowsAll(fresh.list, SOME_TOKENS)).toBe(true);
    expect(knowsAll(whole, SOME_TOKENS)).toBe(true);
    await fresh.opening;
  }, 60_000);

  it("is taken as whole after a second where no process knows it", async () => {
    const redis = await server();
    const { list, opening } = start(redis.url);
    const tookMs = await until(() => list.isCurrent);
    expect(tookMs).toBeLessThan(3000);
    await opening;
    expect(await isWhole(redis)).toBe(true);
  });
});
