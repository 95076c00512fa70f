import { App, RateLimitConfig, type RateLimitStore } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "./server.js";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

let prefixes = 0;
const redis = (lease?: "auto" | number) =>
  new RedisStore({ url: server.url, prefix: `debt${prefixes++}`, deadline: 5000, lease });

const stores: Readonly<Record<string, () => RateLimitStore | undefined>> = {
  memory: () => undefined,
  Redis: () => redis(),
  "Redis with leases": () => redis("auto"),
  "Redis with leases of 3": () => redis(3),
};

describe.concurrent.each(Object.entries(stores))("work that is done already, counted in %s", (_name, makeStore) => {
  it("is charged into debt, which the next requests pay for", async () => {
    const app = new App();
    const store = makeStore();
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100, window: 10, store }));
    app.get("/export", async (request) => {
      // The answer's size is known when it is made: 5 units for each of its parts.
      const { isAllowed, debt = 0 } = await app.rateLimit.consume(request.clientIp, 108, { debt: true });
      return { isAllowed, debt };
    });
    app.get("/", () => "ok");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    for (let sent = 0; sent < 10; sent++) expect((await fetch(url)).status).toBe(200);
    const done = await fetch(`${url}/export`);
    expect(done.status).toBe(200);
    const { isAllowed, debt } = Object(await done.json());
    expect(isAllowed).toBe(false);
    // 100 were there, 119 were used, and ten come back in a second.
    expect(debt).toBeGreaterThan(5);
    expect(debt).toBeLessThanOrEqual(19);
    const refused = await fetch(url);
    expect(refused.status).toBe(429);
    const retryAfter = Number(refused.headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(2);
    expect(refused.headers.get("ratelimit")).toBe(`"default";r=0;t=${retryAfter}`);
    const seen = await app.rateLimit.peek("127.0.0.1");
    expect(seen).toMatchObject({ isAllowed: false, remaining: 0 });
    expect(seen.debt).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
    expect((await fetch(url)).status).toBe(200);
    expect(await app.rateLimit.peek("127.0.0.1")).not.toHaveProperty("debt");
    await app.close();
  });
});
