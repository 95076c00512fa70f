import { App } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RedisConnection } from "../../src/redis/connection.js";
import { readRedisOptions } from "../../src/redis/options.js";
import { redisReplay } from "../../src/redis/replay.js";
import { SHARED_MS, sharedCluster } from "../shared/shared.js";
import { type RedisServer, startRedis } from "./server.js";

let redis: RedisServer;
const cleanUps: (() => unknown)[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function machine() {
  const connection = new RedisConnection(readRedisOptions({ url: redis.url }));
  cleanUps.push(() => connection.close());
  return redisReplay(connection);
}

const later = (seconds = 60) => Date.now() / 1000 + seconds;

describe("redisReplay", () => {
  it("lets one of a hundred claims on two machines win", async () => {
    const machines = [machine(), machine()];
    for (const id of ["a", "b", "c"]) {
      const exp = later();
      const claims = Array.from({ length: 50 }, () => machines.map((each) => each.claim(id, exp))).flat();
      expect((await Promise.all(claims)).filter((isFirst) => isFirst)).toEqual([true]);
    }
  });

  it("keeps an id for a minute longer than its token lives, as a hash, and no longer", async () => {
    await redis.command("FLUSHALL");
    const replay = machine();
    await replay.claim("somebody@example.com", later(100));
    const keys = await redis.command("KEYS", "*");
    expect(keys).toMatch(/cello:replay:[A-Za-z0-9_-]{43}$/);
    const ttl = Number((await redis.command("PTTL", keys.split("\r\n").at(-1) ?? "")).slice(1));
    expect(ttl).toBeGreaterThan(155_000);
    expect(ttl).toBeLessThanOrEqual(160_001);
  });

  it("refuses what has expired long ago, and takes any expiry", async () => {
    const replay = machine();
    expect(await replay.claim("old", later(-61))).toBe(false);
    expect(await replay.claim("now", later(-1))).toBe(true);
    expect(await replay.claim("now", later(-1))).toBe(false);
    expect(await replay.claim("century", 1e300)).toBe(true);
    expect(await replay.claim("century", 1e300)).toBe(false);
  });

  it("rejects when Redis does not answer, soon", async () => {
    const replay = machine();
    await replay.claim("x", later());
    await redis.kill("SIGSTOP");
    cleanUps.push(() => redis.kill("SIGCONT"));
    const start = performance.now();
    await expect(replay.claim("y", later())).rejects.toThrow();
    // The deadline is 50 ms; the rest is for a machine that runs other tests beside.
    expect(performance.now() - start).toBeLessThan(300);
  });
});

describe("app.jwt.useOnce with a RedisStore", () => {
  it("is true once, on whichever machine", async () => {
    const apps = [1, 2].map(() => {
      const app = new App();
      app.enableJwt({
        secret: "a secret of more than thirty-two bytes, for tests",
        store: new RedisStore({ url: redis.url }),
      });
      cleanUps.push(() => app.close());
      return app;
    });
    const claims = apps[0]?.jwt.verify.bind(apps[0].jwt);
    await Promise.all(apps.map((app) => app.jwt.open()));
    const token = apps[0]?.jwt.sign({ sub: "u" }, { jti: true, expiration: 600 }) ?? "";
    const verified = claims?.(token) ?? {};
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => apps.map((app) => app.jwt.useOnce(verified))).flat(),
    );
    expect(answers.filter((isFirst) => isFirst)).toEqual([true]);
  });

  it(
    "works in a Cluster",
    async () => {
      const nodes = (await sharedCluster()).map(({ port }) => ({ host: "127.0.0.1", port }));
      const store = new RedisStore({ cluster: nodes, prefix: "replay-test", deadline: 1000 });
      cleanUps.push(() => store.close());
      for (const id of ["a", "b", "c", "d", "e"]) {
        expect([await store.replay.claim(id, later()), await store.replay.claim(id, later())]).toEqual([true, false]);
      }
    },
    SHARED_MS,
  );
});
