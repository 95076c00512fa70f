import { App, RateLimitConfig, type RateLimitOptions, type RateLimitStore } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisServer, startRedis } from "./server.js";

/** What a client is told about its quota. */
interface Told {
  readonly status: number;
  readonly remaining: number;
  readonly more: number;
  readonly window: number;
  readonly retryAfter: number | undefined;
}

const LIMITS: Readonly<Record<string, (options: RateLimitOptions) => RateLimitConfig>> = {
  "token bucket": RateLimitConfig.tokenBucket,
  "sliding window": RateLimitConfig.slidingWindow,
  "adaptive limit": ({ requests, ...options }) => RateLimitConfig.adaptive({ baseRequests: requests, ...options }),
};
const STORES = ["memory", "Redis", "Redis with leases"] as const;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

let prefixes = 0;
function makeStore(kind: (typeof STORES)[number]): RateLimitStore | undefined {
  if (kind === "memory") return undefined;
  const lease = kind === "Redis" ? undefined : "auto";
  return new RedisStore({ url: server.url, prefix: `times${prefixes++}`, deadline: 5000, lease });
}

async function ask(url: string): Promise<Told> {
  const response = await fetch(url);
  await response.text();
  const state = /^"default";r=(\d+);t=(\d+)$/.exec(response.headers.get("ratelimit") ?? "");
  const policy = /;w=(\d+)$/.exec(response.headers.get("ratelimit-policy") ?? "");
  const retryAfter = response.headers.get("retry-after");
  return {
    status: response.status,
    remaining: Number(state?.[1]),
    more: Number(state?.[2]),
    window: Number(policy?.[1]),
    retryAfter: retryAfter === null ? undefined : Number(retryAfter),
  };
}

const cases = Object.keys(LIMITS).flatMap((algorithm) => STORES.map((store) => [algorithm, store] as const));

describe.each(cases)("a %s counted in %s", (algorithm, store) => {
  async function serve(options: RateLimitOptions): Promise<{ url: string; app: App }> {
    const app = new App();
    const make = LIMITS[algorithm];
    if (make === undefined) throw new RangeError(algorithm);
    app.enableRateLimit(make({ ...options, store: makeStore(store) }));
    app.get("/", () => "ok");
    return { url: await app.listen({ port: 0, host: "127.0.0.1" }), app };
  }

  it.each([
    [100, 60],
    [1000, 60],
    [3, 1],
  ])("tells no time beyond the window, for %i requests in %i s", async (requests, window) => {
    const { url, app } = await serve({ requests, window });
    const first = await ask(url);
    expect(first).toMatchObject({ status: 200, remaining: requests - 1, window });
    for (const told of [first, await ask(url), await ask(url)]) {
      expect(told.more).toBeGreaterThanOrEqual(1);
      expect(told.more).toBeLessThanOrEqual(window);
    }
    await app.close();
  });

  it("says when more comes, and not later than Retry-After", async () => {
    const { url, app } = await serve({ requests: 100, window: 60 });
    const told: Told[] = [];
    for (let sent = 0; sent < 130; sent++) told.push(await ask(url));
    const refused = told.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    for (const { more, remaining, retryAfter = 0 } of refused) {
      expect(remaining).toBe(0);
      expect(more).toBeGreaterThanOrEqual(1);
      expect(more).toBeLessThanOrEqual(retryAfter);
    }
    // A bucket has its next token in less than a second; a window only when its oldest request is a window old.
    const most = algorithm === "sliding window" ? 60 : 1;
    for (const { more } of told) expect(more).toBeLessThanOrEqual(most);
    await app.close();
  });
});
