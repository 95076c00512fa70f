import { describe, expect, it } from "vitest";
import { TestClock } from "../../../test/clock.js";
import fc, { runs } from "../../../test/fast-check.js";
import { testPolicy } from "../../../test/limit-policy.js";
import { TokenBuckets } from "./token-bucket.js";

const origins = fc.constantFrom(0, 0.3, 123_456.789, 1e9 + 0.5, 86_400_000 * 365, 1e15);
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2000, noNaN: true }), fc.nat(5000)),
    cost: fc.nat(4),
    key: fc.nat(2),
  }),
  { maxLength: 120 },
);

/** The naive bucket: tokens as a float, refilled when it is looked at. */
class NaiveBucket {
  tokens: number;
  #atMs: number;

  constructor(
    readonly requests: number,
    readonly windowMs: number,
    nowMs: number,
  ) {
    this.tokens = requests;
    this.#atMs = nowMs;
  }

  refill(nowMs: number): void {
    this.tokens = Math.min(this.requests, this.tokens + ((nowMs - this.#atMs) * this.requests) / this.windowMs);
    this.#atMs = nowMs;
  }
}

describe("TokenBuckets", () => {
  it("decides as a naive bucket does, whatever the schedule", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 20_000 }),
        origins,
        steps,
        (requests, windowMs, originMs, schedule) => {
          const clock = new TestClock(originMs);
          const buckets = new TokenBuckets(testPolicy("token-bucket", requests, windowMs), clock);
          const naive = [0, 1, 2].map(() => new NaiveBucket(requests, windowMs, originMs));
          // A tick of about a microsecond, and what huge times lose in a double.
          const tolerance = ((0.002 + originMs * 2e-15) * requests) / windowMs + 1e-6;
          for (const { waitMs, cost, key } of schedule) {
            clock.nowMs += waitMs;
            const bucket = naive[key];
            if (bucket === undefined) throw new RangeError();
            bucket.refill(clock.nowMs);
            const before = bucket.tokens;
            const decision = buckets.consume(`key ${key}`, cost);
            if (decision.isAllowed) {
              expect(before).toBeGreaterThanOrEqual(cost - tolerance);
              bucket.tokens -= cost;
            } else {
              expect(before).toBeLessThanOrEqual(cost + tolerance);
              expect(decision.retryAfterMs).toBeGreaterThan(0);
            }
            expect(decision.remaining).toBeGreaterThanOrEqual(Math.floor(bucket.tokens - tolerance));
            expect(decision.remaining).toBeLessThanOrEqual(Math.floor(bucket.tokens + tolerance));
            expect(decision.resetMs).toBeGreaterThanOrEqual(0);
            expect(decision.resetMs).toBeLessThanOrEqual(windowMs + 1);
          }
        },
      ),
      runs(300),
    );
  });

  it("admits who waits exactly Retry-After, for odd limits and huge times", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(97, 9973, 1_000_003, 1_000_000_000)),
        fc.oneof(
          fc.double({ min: 1, max: 90_000, noNaN: true }),
          fc.constantFrom(1000 / 3, 2_678_400_000, 86_399_999.5),
        ),
        origins,
        fc.array(fc.double({ min: 0, max: 700, noNaN: true }), { maxLength: 20 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (requests, windowMs, originMs, waits, share) => {
          const clock = new TestClock(originMs);
          const buckets = new TokenBuckets(testPolicy("token-bucket", requests, windowMs), clock);
          const cost = Math.max(1, Math.floor(requests * share));
          for (const waitMs of waits) {
            clock.nowMs += waitMs;
            let decision = buckets.consume("key", cost);
            for (let tries = 0; decision.isAllowed && tries < 100; tries++) decision = buckets.consume("key", cost);
            if (decision.isAllowed) return;
            clock.nowMs += Math.ceil(decision.retryAfterMs / 1000) * 1000;
            expect(buckets.consume("key", cost).isAllowed).toBe(true);
          }
        },
      ),
      runs(500),
    );
  });

  it("asks for no more than needed: a tick before it refuses", () => {
    const clock = new TestClock(5);
    const buckets = new TokenBuckets(testPolicy("token-bucket", 3, 60_000), clock);
    for (let index = 0; index < 3; index++) buckets.consume("key", 1);
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, retryAfterMs: 20_000, resetMs: 60_000 });
    clock.nowMs += 19_999;
    expect(buckets.consume("key", 1).isAllowed).toBe(false);
    clock.nowMs += 1;
    expect(buckets.consume("key", 1).isAllowed).toBe(true);
    expect(buckets.consume("key", 1).isAllowed).toBe(false);
  });

  it("says what a fresh key has, and that a request takes one", () => {
    const buckets = new TokenBuckets(testPolicy("token-bucket", 100, 60_000), new TestClock(0));
    expect(buckets.peek("key", 1)).toEqual({
      isAllowed: true,
      limit: 100,
      remaining: 100,
      resetMs: 0,
      moreMs: 0,
      retryAfterMs: 0,
      wasReduced: false,
    });
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: true, remaining: 99, resetMs: 600 });
    expect(buckets.peek("key", 1)).toMatchObject({ remaining: 99 });
    expect(buckets.consume("key", 0)).toMatchObject({ isAllowed: true, remaining: 99 });
  });

  it("says when the next token comes", () => {
    const clock = new TestClock(0);
    const buckets = new TokenBuckets(testPolicy("token-bucket", 100, 60_000), clock);
    expect(buckets.consume("key", 60)).toMatchObject({ remaining: 40, moreMs: 600, resetMs: 36_000 });
    clock.nowMs += 400;
    expect(buckets.peek("key", 1)).toMatchObject({ remaining: 40, moreMs: 200 });
    expect(buckets.peek("key", 90)).toMatchObject({ isAllowed: false, moreMs: 200, retryAfterMs: 29_600 });
    clock.nowMs += 200;
    expect(buckets.peek("key", 1)).toMatchObject({ remaining: 41, moreMs: 600 });
  });

  it("takes nothing for a refused request, and peeking takes nothing", () => {
    const clock = new TestClock(0);
    const buckets = new TokenBuckets(testPolicy("token-bucket", 2, 1000), clock);
    buckets.consume("key", 2);
    for (let index = 0; index < 50; index++) expect(buckets.consume("key", 1).isAllowed).toBe(false);
    expect(buckets.peek("key", 1)).toMatchObject({ isAllowed: false, retryAfterMs: 500 });
    clock.nowMs = 500;
    expect(buckets.peek("key", 1).isAllowed).toBe(true);
    expect(buckets.consume("key", 1).isAllowed).toBe(true);
  });

  it("gives back, never above full, and resets", () => {
    const buckets = new TokenBuckets(testPolicy("token-bucket", 5, 1000), new TestClock(0));
    buckets.consume("key", 4);
    buckets.giveBack("key", 3);
    expect(buckets.peek("key", 1).remaining).toBe(4);
    buckets.giveBack("key", 100);
    buckets.giveBack("other", 100);
    expect(buckets.peek("key", 1).remaining).toBe(5);
    buckets.consume("key", 5);
    buckets.reset("key");
    buckets.reset("nobody");
    expect(buckets.peek("key", 1)).toMatchObject({ remaining: 5, resetMs: 0 });
    expect(buckets.consume("key", 5).isAllowed).toBe(true);
  });

  it("never admits what costs more than a full bucket", () => {
    const buckets = new TokenBuckets(testPolicy("token-bucket", 5, 1000), new TestClock(0));
    expect(buckets.consume("key", 6)).toMatchObject({ isAllowed: false, retryAfterMs: 1000, remaining: 5 });
  });

  it("does not refill when the clock goes back", () => {
    const clock = new TestClock(10_000);
    const buckets = new TokenBuckets(testPolicy("token-bucket", 1, 1000), clock);
    buckets.consume("key", 1);
    clock.nowMs = 2000;
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, retryAfterMs: 1000 });
    clock.nowMs = 11_000;
    expect(buckets.consume("key", 1).isAllowed).toBe(true);
  });

  it("keeps counting when the clock jumps so far that times are moved", () => {
    const clock = new TestClock(0);
    const buckets = new TokenBuckets(testPolicy("token-bucket", 1_000_000, 60_000), clock);
    for (const jumpMs of [0, 1e10, 1e13, 1e15]) {
      clock.nowMs += jumpMs;
      expect(buckets.consume("key", 1_000_000)).toMatchObject({ isAllowed: true, remaining: 0 });
      expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, resetMs: 60_000 });
      clock.nowMs += 30_000;
      expect(buckets.consume("key", 500_001).isAllowed).toBe(false);
      expect(buckets.consume("key", 500_000).isAllowed).toBe(true);
    }
  });

  it("forgets the keys first that are full again soonest", () => {
    const buckets = new TokenBuckets(testPolicy("token-bucket", 10, 10_000, { maxKeys: 16 }), new TestClock(0));
    for (let index = 0; index < 8; index++) buckets.consume(`busy ${index}`, 10);
    for (let index = 0; index < 5000; index++) buckets.consume(`flood ${index}`, 1);
    for (let index = 0; index < 8; index++) expect(buckets.consume(`busy ${index}`, 1).isAllowed).toBe(false);
  });

  it("counts a key that comes when all others have more to fill", () => {
    const buckets = new TokenBuckets(testPolicy("token-bucket", 10, 10_000, { maxKeys: 4 }), new TestClock(0));
    for (let index = 0; index < 8; index++) buckets.consume(`busy ${index}`, 10);
    for (let index = 0; index < 10; index++) expect(buckets.consume("late", 1).isAllowed).toBe(true);
    expect(buckets.consume("late", 1).isAllowed).toBe(false);
  });
});
