import { describe, expect, it } from "vitest";
import { TestClock } from "../../../test/clock.js";
import fc, { runs } from "../../../test/fast-check.js";
import { testPolicy } from "../../../test/limit-policy.js";
import type { RateLimitPolicy } from "../store.js";
import { AdaptiveBuckets } from "./adaptive-bucket.js";

describe("AdaptiveBuckets", () => {
  function adaptive(): { policy: RateLimitPolicy; set: (limit: number) => void } {
    let inForce = 100;
    const policy: RateLimitPolicy = {
      ...testPolicy("token-bucket", 100, 10_000, { isAdaptive: true }),
      get requestsInForce() {
        return inForce;
      },
    };
    return {
      policy,
      set: (limit) => {
        inForce = limit;
      },
    };
  }

  function drain(buckets: AdaptiveBuckets, key = "key"): number {
    let admitted = 0;
    while (buckets.consume(key, 1).isAllowed) admitted++;
    return admitted;
  }

  it("is a plain token bucket while the limit is not reduced", () => {
    const clock = new TestClock(0);
    const buckets = new AdaptiveBuckets(adaptive().policy, clock);
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: true, limit: 100, remaining: 99, resetMs: 100 });
    expect(drain(buckets)).toBe(99);
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: false, retryAfterMs: 100 });
    clock.nowMs = 100;
    expect(buckets.consume("key", 1).isAllowed).toBe(true);
    buckets.giveBack("key", 3);
    expect(buckets.peek("key", 1).remaining).toBe(3);
    buckets.reset("key");
    expect(buckets.peek("key", 1)).toMatchObject({ remaining: 100, resetMs: 0 });
  });

  it("refills by the limit in force, whatever it was before", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    expect(drain(buckets)).toBe(100);
    set(20);
    let admitted = 0;
    for (clock.nowMs = 100; clock.nowMs <= 100_000; clock.nowMs += 100) admitted += drain(buckets);
    expect(Math.abs(admitted - 200)).toBeLessThanOrEqual(1);
    set(100);
    admitted = 0;
    for (; clock.nowMs <= 110_000; clock.nowMs += 100) admitted += drain(buckets);
    // What was left of the last dear token is the same part of a full bucket, and now more requests.
    expect(admitted).toBeGreaterThanOrEqual(99);
    expect(admitted).toBeLessThanOrEqual(105);
  });

  it("lets a known key save a small burst while the limit is reduced, and the whole one afterwards", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    buckets.consume("key", 50);
    set(50);
    clock.nowMs = 9999;
    // A quarter of the full burst: both the limit and the share of it that may be saved are halved.
    expect(drain(buckets)).toBeGreaterThanOrEqual(24);
    expect(drain(buckets)).toBe(0);
    set(10);
    clock.nowMs = 19_000;
    const admitted = drain(buckets);
    expect(admitted).toBeGreaterThanOrEqual(3);
    expect(admitted).toBeLessThanOrEqual(4);
    set(100);
    clock.nowMs = 29_001;
    expect(drain(buckets)).toBeGreaterThanOrEqual(90);
  });

  it("has one request in hand for a new key while the limit is reduced", () => {
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, new TestClock(0));
    set(99);
    for (let client = 0; client < 100; client++) expect(drain(buckets, `client ${client}`)).toBe(1);
  });

  it("knows a key for a window after its bucket was full again", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    for (const key of ["seen in time", "seen too late"]) buckets.consume(key, 1);
    set(50);
    clock.nowMs = 10_099;
    expect(drain(buckets, "seen in time")).toBeGreaterThanOrEqual(24);
    clock.nowMs = 10_100;
    expect(drain(buckets, "seen too late")).toBe(1);
  });

  it("says that the reduction refused while the unreduced limit had admitted, and no longer", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    set(10);
    expect(buckets.consume("key", 1).isAllowed).toBe(true);
    let reduced = 0;
    while (buckets.consume("key", 1).wasReduced) reduced++;
    expect(reduced).toBe(99);
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: false });
    clock.nowMs = 100;
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: true });
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: false });
  });

  it("lets clients that were stopped together come back one by one", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    const clients = Array.from({ length: 500 }, (_, client) => `client ${client}`);
    for (const client of clients) drain(buckets, client);
    set(10);
    // A token takes a second. In step, all would come in the same one of these 20 parts of it.
    for (let period = 1; period <= 5; period++) {
      for (let part = 1; part <= 20; part++) {
        clock.nowMs += 50;
        const admitted = clients.reduce((sum, client) => sum + drain(buckets, client), 0);
        if (period > 1) expect(admitted).toBeLessThan(75);
      }
    }
  });

  it("never admits a key more than its burst and the limit in force, and not less to who keeps asking", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 99.9, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 200 }),
        (limit, steps) => {
          const clock = new TestClock(0.3);
          const { policy, set } = adaptive();
          const buckets = new AdaptiveBuckets(policy, clock);
          drain(buckets);
          set(limit);
          let admitted = 0;
          let granted = 0;
          let least = 0;
          for (const stepMs of steps) {
            clock.nowMs += stepMs;
            const tokens = (stepMs * limit) / 10_000;
            granted += tokens;
            // Tokens beyond the least burst are lost, and none of those that come a few at a time.
            least += Math.min(2, tokens);
            admitted += drain(buckets);
            expect(admitted).toBeLessThanOrEqual(granted + 1e-6);
            expect(admitted).toBeGreaterThan(least - 2);
          }
        },
      ),
      runs(200),
    );
  });

  it("admits a request that costs more than the reduced limit when the bucket is full", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    set(10);
    expect(buckets.consume("key", 30)).toMatchObject({ isAllowed: true, remaining: 0 });
    expect(buckets.consume("key", 30)).toMatchObject({ isAllowed: false, retryAfterMs: 10_000 });
    clock.nowMs = 10_000;
    expect(buckets.consume("key", 30).isAllowed).toBe(true);
    expect(buckets.consume("key", 101).isAllowed).toBe(false);
  });

  it("admits who waits exactly Retry-After while the limit stays", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 100, noNaN: true }),
        fc.array(fc.nat(3000), { maxLength: 20 }),
        (limit, waits) => {
          const clock = new TestClock(0.7);
          const { policy, set } = adaptive();
          const buckets = new AdaptiveBuckets(policy, clock);
          set(limit);
          for (const waitMs of waits) {
            clock.nowMs += waitMs;
            drain(buckets);
            clock.nowMs += Math.ceil(buckets.consume("key", 1).retryAfterMs / 1000) * 1000;
            expect(buckets.consume("key", 1).isAllowed).toBe(true);
          }
        },
      ),
      runs(100),
    );
  });
});
