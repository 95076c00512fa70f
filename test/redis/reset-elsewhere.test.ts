import { setTimeout as wait } from "node:timers/promises";
import { App, RateLimitConfig } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "./server.js";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** One process of those that share a limit of 3 in five minutes. */
async function startProcess(prefix: string, lease: "auto" | undefined, { url: redis } = server) {
  const app = new App();
  const store = new RedisStore({ url: redis, prefix, deadline: 5000, lease });
  app.enableRateLimit(RateLimitConfig.slidingWindow({ requests: 3, window: 300, store }));
  app.get("/", () => "ok");
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const statuses = async (times: number) => {
    const seen: number[] = [];
    for (let sent = 0; sent < times; sent++) seen.push((await fetch(url)).status);
    return seen;
  };
  return { app, statuses };
}

describe.concurrent.each([[undefined], ["auto"]] as const)("a client that is blocked, with leases %s", (lease) => {
  it("is free again within a second when another process resets it", async () => {
    const one = await startProcess(`reset-${lease}`, lease);
    const other = await startProcess(`reset-${lease}`, lease);
    expect(await one.statuses(5)).toEqual([200, 200, 200, 429, 429]);
    await other.app.rateLimit.reset("127.0.0.1");
    await wait(1100);
    // The first to come asks.
    expect(await one.statuses(4)).toEqual([200, 200, 200, 429]);
    await one.app.close();
    await other.app.close();
  });

  it("is not set free by a Redis that is gone", async () => {
    const own = await startRedis();
    const one = await startProcess(`gone-${lease}`, lease, own);
    expect(await one.statuses(5)).toEqual([200, 200, 200, 429, 429]);
    await own.stop();
    expect(await one.statuses(2)).toEqual([429, 429]);
    for (let second = 0; second < 2; second++) {
      await wait(1100);
      expect(await one.statuses(3)).toEqual([429, 429, 429]);
    }
    await one.app.close();
  });
});
