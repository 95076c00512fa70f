import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdaptiveBuckets } from "../../src/limits/memory/adaptive-bucket.js";
import { MemoryRateLimitStore } from "../../src/limits/memory/store.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../../src/limits/store.js";
import fc, { runs } from "../fast-check.js";
import { testPolicy } from "../limit-policy.js";
import { decided, type OpenLimits, openLimits, TimedConnection } from "./limits-parts.js";
import { type RedisServer, startRedis } from "./server.js";

let server: RedisServer;
let timed: TimedConnection;
let real: OpenLimits;
let spy: Redis;
let keys = 0;

beforeAll(async () => {
  server = await startRedis();
  timed = new TimedConnection(server.url);
  real = openLimits({ url: server.url });
  spy = new Redis(server.url, { protocol: 2 });
  await real.connection.open(5000);
});

afterAll(async () => {
  await real.close();
  timed.close();
  spy.disconnect();
  await server.stop();
});

async function calls(): Promise<number> {
  const stats = await spy.info("commandstats");
  const count = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return count("evalsha") + count("eval");
}

interface Step {
  readonly waitMs: number;
  readonly asks: readonly {
    readonly kind: "take" | "charge" | "peek" | "give" | "reset";
    readonly cost: number;
    readonly key: number;
  }[];
  readonly inForce: number;
}

const WINDOW_MS = 60_000;

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.nat(3000), fc.nat(20_000), fc.constant(WINDOW_MS)),
    asks: fc.array(
      fc.record({
        kind: fc.constantFrom(
          "take" as const,
          "take" as const,
          "take" as const,
          "charge" as const,
          "peek" as const,
          "give" as const,
          "reset" as const,
        ),
        cost: fc.constantFrom(0, 1, 1, 1, 2, 3, 7, 120),
        key: fc.nat(1),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    inForce: fc.constantFrom(10, 20, 25, 50, 100),
  }),
  { maxLength: 25 },
);

function ask(store: RateLimitStore, policy: RateLimitPolicy, { kind, cost, key }: Step["asks"][number], run: number) {
  const name = `${run} ${key}`;
  if (kind === "reset") return store.reset(policy, name);
  if (kind === "charge") return store.charge?.(policy, name, cost);
  if (kind === "peek") return store.peek(policy, name, cost);
  // Giving back nothing is not a request that gives back.
  return store.consume(policy, name, kind === "give" && cost > 0 ? -cost : cost);
}

/** What is never admitted, even by an unused key, may be told any time to wait. */
function comparable(answer: unknown): unknown {
  const isHopeless = isDecision(answer) && !answer.isAllowed && answer.resetMs === 0;
  return isHopeless ? { ...answer, retryAfterMs: "any" } : answer;
}

function isDecision(answer: unknown): answer is RateLimitDecision {
  return typeof answer === "object" && answer !== null && "isAllowed" in answer;
}

/** A limit in memory as a store. Redis has adaptive buckets without what spreads clients, so that it has no hash. */
function inMemory(policy: RateLimitPolicy): RateLimitStore {
  if (!policy.isAdaptive) return new MemoryRateLimitStore({ clock: timed.clock });
  const buckets = new AdaptiveBuckets(policy, timed.clock, () => 0);
  return {
    consume: (_, key, cost) => {
      if (cost >= 0) return buckets.consume(key, cost);
      buckets.giveBack(key, -cost);
      return { ...buckets.peek(key, -cost), isAllowed: true, retryAfterMs: 0, wasReduced: false, debt: undefined };
    },
    charge: (_, key, cost) => buckets.charge(key, cost),
    peek: (_, key, cost = 1) => buckets.peek(key, cost),
    reset: (_, key) => buckets.reset(key),
    close: () => undefined,
  };
}

/** Asks Redis and memory the same, what comes in one step at once, and compares every figure. */
async function compare(schedule: readonly Step[], base: RateLimitPolicy): Promise<void> {
  const run = keys++;
  let inForce = base.requests;
  const policy: RateLimitPolicy = {
    ...base,
    get requestsInForce() {
      return base.isAdaptive ? inForce : base.requests;
    },
  };
  const memory = inMemory(policy);
  // At the first tick of a limit in memory, "full since now" and "never seen" are the same time.
  timed.clock.nowMs += 1;
  for (const step of schedule) {
    timed.clock.nowMs += step.waitMs;
    inForce = step.inForce;
    // Another process for each step: none knows what another was refused.
    const redis = timed.process();
    const answers = await Promise.all(step.asks.map((one) => ask(redis, policy, one, run)));
    const expected = step.asks.map((one) => ask(memory, policy, one, run));
    expect(answers.map(comparable)).toEqual(expected.map(comparable));
  }
}

describe("limits in Redis", () => {
  it("decide as token buckets in memory do, in every figure", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 2, 5, 7, 30, 100), steps, (requests, schedule) =>
        compare(schedule, testPolicy("token-bucket", requests, WINDOW_MS)),
      ),
      runs(60),
    );
  });

  it("decide as adaptive buckets in memory do while the limit in force moves", async () => {
    await fc.assert(
      fc.asyncProperty(steps, (schedule) =>
        compare(schedule, testPolicy("token-bucket", 100, WINDOW_MS, { isAdaptive: true })),
      ),
      runs(60),
    );
  });

  it("decide as sliding windows in memory do, in every figure", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 2, 5, 7, 30, 100), steps, (requests, schedule) =>
        compare(schedule, testPolicy("sliding-window", requests, WINDOW_MS)),
      ),
      runs(60),
    );
  });

  it.each([
    [1_000_000_000, 2_678_400_000],
    [1_000_003, 1000 / 3],
    [3, 0.5 * 86_400_000 + 0.3],
  ])("count exactly for %d requests in %d ms", async (requests, windowMs) => {
    const policy = testPolicy("token-bucket", requests, windowMs, { id: `large ${requests}` });
    const limits = timed.process();
    const third = Math.floor(requests / 3);
    for (const left of [requests - third, requests - 2 * third, requests - 3 * third]) {
      expect(await limits.consume(policy, "key", third)).toMatchObject({ isAllowed: true, remaining: left });
    }
    const rest = requests - 3 * third;
    if (rest > 0) await limits.consume(policy, "key", rest);
    const refused = await decided(timed.process().consume(policy, "key", third));
    expect(refused).toMatchObject({ isAllowed: false, remaining: 0 });
    timed.clock.nowMs += refused.retryAfterMs;
    expect(await timed.process().consume(policy, "key", third)).toMatchObject({ isAllowed: true });
  });

  it("forget a key's times when the server's clock is set back by more than a window", async () => {
    for (const algorithm of ["token-bucket", "sliding-window"] as const) {
      const policy = testPolicy(algorithm, 5, WINDOW_MS, { id: "set back" });
      await timed.process().consume(policy, "key", 5);
      timed.clock.nowMs -= 1000;
      expect(await timed.process().consume(policy, "key", 1)).toMatchObject({ isAllowed: false });
      timed.clock.nowMs -= WINDOW_MS;
      expect(await timed.process().consume(policy, "key", 5)).toMatchObject({ isAllowed: true });
      timed.clock.nowMs += WINDOW_MS + 1000;
    }
  });

  it("ask in one call for all that comes in one turn, at most 16 keys at once", async () => {
    const bucket = testPolicy("token-bucket", 10, 60_000, { id: "together" });
    // From here on the server has the script.
    await real.limits.peek(bucket, "other");
    const before = await calls();
    const one = await Promise.all(Array.from({ length: 50 }, () => real.limits.consume(bucket, "one", 1)));
    expect(one.map(({ isAllowed }) => isAllowed)).toEqual(one.map((_, index) => index < 10));
    expect(one.map(({ remaining }) => remaining).slice(0, 11)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
    expect(await calls()).toBe(before + 1);
    await Promise.all(Array.from({ length: 250 }, (_, index) => real.limits.consume(bucket, `many ${index}`, 1)));
    expect(await calls()).toBe(before + 1 + Math.ceil(250 / 16));
  });

  it("refuse a key that is out without asking, with the times counted down", async () => {
    const policy = testPolicy("token-bucket", 2, 2000, { id: "out" });
    await real.limits.consume(policy, "key", 2);
    expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ isAllowed: false });
    const before = await calls();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const again = real.limits.consume(policy, "key", 1);
    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toMatchObject({ isAllowed: false, limit: 2, remaining: 0, wasReduced: false });
    const { retryAfterMs, resetMs } = await decided(again);
    expect(retryAfterMs).toBeGreaterThan(700);
    expect(retryAfterMs).toBeLessThanOrEqual(955);
    expect(resetMs).toBeLessThanOrEqual(1955);
    expect(real.limits.consume(policy, "key", 2)).toMatchObject({ isAllowed: false });
    expect(await calls()).toBe(before);
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ isAllowed: true });
  });

  it("ask again at once after this process gave back or reset", async () => {
    const policy = testPolicy("sliding-window", 2, 60_000, { id: "given back" });
    await real.limits.consume(policy, "key", 2);
    await real.limits.consume(policy, "key", 1);
    expect(await real.limits.consume(policy, "key", -1)).toMatchObject({ isAllowed: true, remaining: 1 });
    expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ isAllowed: true });
    expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ isAllowed: false });
    await real.limits.reset(policy, "key");
    expect(await real.limits.consume(policy, "key", 2)).toMatchObject({ isAllowed: true, remaining: 0 });
  });

  it("leave keys that expire when they say nothing more, and none for who only looks", async () => {
    const bucket = testPolicy("token-bucket", 10, 100_000, { id: "expiry" });
    const window = testPolicy("sliding-window", 10, 100_000, { id: "expiry" });
    await real.limits.peek(bucket, "looked at");
    await real.limits.peek(window, "looked at");
    expect(await spy.keys("*:looked at")).toEqual([]);
    await real.limits.consume(bucket, "taken", 3);
    await real.limits.consume(window, "taken", 3);
    const names = await spy.keys("cello:limit:*:taken");
    expect(names).toHaveLength(2);
    for (const name of names) {
      const isBucket = (await spy.type(name)) === "string";
      const [least, most] = isBucket ? [29_000, 30_002] : [99_000, 100_002];
      expect(await spy.pttl(name)).toBeGreaterThan(least);
      expect(await spy.pttl(name)).toBeLessThanOrEqual(most);
    }
    await real.limits.reset(bucket, "taken");
    await real.limits.reset(window, "taken");
    expect(await spy.keys("cello:limit:*:taken")).toEqual([]);
  });

  it("bound the length of keys, and keep long ones apart", async () => {
    const policy = testPolicy("token-bucket", 5, 60_000, { id: "long" });
    await real.limits.consume(policy, `${"x".repeat(5000)}1`, 5);
    expect(await real.limits.consume(policy, `${"x".repeat(5000)}2`, 5)).toMatchObject({ isAllowed: true });
    expect(await real.limits.consume(policy, `${"x".repeat(5000)}1`, 1)).toMatchObject({ isAllowed: false });
    for (const name of await spy.keys("cello:limit:*")) expect(name.length).toBeLessThan(100);
  });

  it("keep limits apart that differ in a figure, and share those that do not", async () => {
    const policy = testPolicy("token-bucket", 5, 60_000, { id: "shared" });
    await real.limits.consume(policy, "key", 5);
    expect(await real.limits.peek({ ...policy }, "key")).toMatchObject({ isAllowed: false });
    expect(await real.limits.peek({ ...policy, windowMs: 50_000 }, "key")).toMatchObject({ isAllowed: true });
    expect(await real.limits.peek({ ...policy, id: "other" }, "key")).toMatchObject({ isAllowed: true });
  });

  it("load the scripts again when the server has lost them", async () => {
    for (const algorithm of ["token-bucket", "sliding-window"] as const) {
      const policy = testPolicy(algorithm, 3, 60_000, { id: "flushed" });
      await spy.script("FLUSH");
      expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ remaining: 2 });
      await spy.script("FLUSH");
      expect(await real.limits.consume(policy, "key", 1)).toMatchObject({ remaining: 1 });
    }
  });

  it("drop thousands of expired entries of a window in a few steps", async () => {
    const policy = testPolicy("sliding-window", 20_000, WINDOW_MS, { id: "wide" });
    const limits = timed.process();
    for (let index = 0; index < 3000; index++) {
      timed.clock.nowMs += 10;
      void limits.consume(policy, "key", 1 + (index % 3));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await limits.peek(policy, "key")).toMatchObject({ remaining: 20_000 - 6000 });
    timed.clock.nowMs += WINDOW_MS - 15_000;
    const { remaining } = await decided(limits.consume(policy, "key", 1));
    expect(remaining).toBeGreaterThanOrEqual(20_000 - 3010);
    expect(remaining).toBeLessThanOrEqual(20_000 - 2990);
  });

  it("reject while Redis does not answer", async () => {
    const lost = await startRedis();
    const gone = openLimits({ url: lost.url, deadline: 100 });
    await gone.connection.open(5000);
    const policy = testPolicy("token-bucket", 3, 60_000);
    await gone.limits.consume(policy, "key", 1);
    await lost.kill("SIGSTOP");
    await expect(gone.limits.consume(policy, "key", 1)).rejects.toThrow();
    await lost.stop();
    await gone.close();
  });
});
