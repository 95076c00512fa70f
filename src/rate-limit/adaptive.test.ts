import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventHub, type SecurityEvents } from "../events.js";
import { type AdaptiveBounds, AdaptiveController, type AdaptiveState, nextLimit } from "./adaptive.js";
import { AdaptiveBuckets } from "./adaptive-bucket.js";
import { TestClock, testPolicy } from "./clock.fake.js";
import type { RateLimitPolicy } from "./store.js";

const bounds: AdaptiveBounds = {
  minRequests: 10,
  baseRequests: 100,
  cpuThreshold: 0.8,
  memoryThreshold: 0.9,
  latencyThresholdMs: 100,
};
const calm = { cpu: 0.1, memory: 0.2, latencyMs: 5 };
const full: AdaptiveState = { limit: 100, reason: "recovery" };

function run(state: AdaptiveState, load: typeof calm, steps: number, stepMs = 200): AdaptiveState {
  let current = state;
  for (let step = 0; step < steps; step++) current = nextLimit(bounds, current, load, stepMs);
  return current;
}

describe("nextLimit", () => {
  it("stays between floor and ceiling and a number, whatever the signals say", () => {
    const signal = fc.oneof(
      fc.double({ min: 0, max: 3 }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1e9),
    );
    const load = fc.record({ cpu: signal, memory: signal, latencyMs: signal });
    const elapsed = fc.oneof(fc.nat(5000), fc.constantFrom(0, -5, 1e12));
    fc.assert(
      fc.property(fc.array(fc.tuple(load, elapsed), { maxLength: 60 }), (profile) => {
        let state = full;
        for (const [snapshot, elapsedMs] of profile) {
          state = nextLimit(bounds, state, snapshot, elapsedMs);
          expect(state.limit).toBeGreaterThanOrEqual(10);
          expect(state.limit).toBeLessThanOrEqual(100);
        }
        expect(run(state, calm, 50).limit).toBe(100);
      }),
      { numRuns: 500 },
    );
  });

  it("goes down the faster the worse the overshoot, and says which signal it was", () => {
    const some = run(full, { ...calm, cpu: 0.9 }, 5);
    const much = run(full, { ...calm, latencyMs: 300 }, 5);
    expect(some).toMatchObject({ reason: "cpu" });
    expect(much).toMatchObject({ reason: "latency" });
    expect(some.limit).toBeLessThan(95);
    expect(much.limit).toBeLessThan(some.limit / 2);
    expect(run(full, { ...calm, memory: 0.95 }, 5).reason).toBe("memory");
  });

  it("holds between 85 % of a threshold and the threshold", () => {
    expect(run({ limit: 50, reason: "cpu" }, { ...calm, cpu: 0.7 }, 100)).toEqual({ limit: 50, reason: "cpu" });
  });

  it("is back at the ceiling within 10 s after the load, and goes up without jumps", () => {
    let state: AdaptiveState = { limit: 10, reason: "cpu" };
    for (let step = 0; step < 50; step++) {
      const next = nextLimit(bounds, state, calm, 200);
      expect(next.limit - state.limit).toBeLessThanOrEqual(90 * 0.05);
      state = next;
    }
    expect(state.limit).toBe(100);
  });

  it.each([0.15, 0.3, 0.5, 0.8])(
    "settles without swinging when %d of the ceiling is what the server can do",
    (capacity) => {
      // CPU in proportion to what is admitted, seen half a second late and evened out.
      let state = full;
      let cpu = 0;
      const admitted: number[] = [];
      const late: number[] = [];
      for (let step = 0; step < 600; step++) {
        late.push(state.limit / 100 / capacity);
        cpu += ((late[Math.max(0, step - 3)] ?? 0) * 0.8 - cpu) * 0.4;
        state = nextLimit(bounds, state, { ...calm, cpu: Math.min(1, cpu) }, 200);
        if (step > 300) admitted.push(state.limit);
      }
      const [least, most] = [Math.min(...admitted), Math.max(...admitted)];
      expect((most - least) / most).toBeLessThan(0.2);
      expect(least).toBeGreaterThan(Math.max(10, 100 * capacity * 0.6) - 1e-9);
      expect(most).toBeLessThan(100 * capacity * 1.2);
    },
  );
});

describe("AdaptiveController", () => {
  it("takes a step at most every 200 ms and tells of it at most once a second", () => {
    const clock = new TestClock(0);
    const events = new EventHub();
    const told: (SecurityEvents["ratelimit.adapted"] & { readonly atMs: number })[] = [];
    events.on("ratelimit.adapted", (event) => told.push({ ...event, atMs: clock.nowMs }));
    let load = { cpu: 1, memory: 0.2, latencyMs: 5 };
    let samples = 0;
    const source = {
      snapshot: () => {
        samples++;
        return load;
      },
    };
    const controller = new AdaptiveController("api", bounds, { clock, load: source, events });
    for (; clock.nowMs < 5000; clock.nowMs += 10) controller.refresh();
    expect(samples).toBe(24);
    load = calm;
    for (; clock.nowMs < 20_000; clock.nowMs += 10) controller.refresh();
    expect(controller).toMatchObject({ limit: 100, reason: "recovery" });
    expect(told[0]).toMatchObject({
      name: "api",
      previousLimit: 100,
      reason: "cpu",
      cpu: 1,
      memory: 0.2,
      latencyMs: 5,
    });
    expect(told.at(-1)).toMatchObject({ limit: 100, reason: "recovery" });
    for (const [index, event] of told.entries()) {
      expect(event.limit).not.toBe(event.previousLimit);
      const before = told[index - 1];
      if (before === undefined) continue;
      expect(event.previousLimit).toBe(before.limit);
      expect(event.atMs - before.atMs).toBeGreaterThanOrEqual(1000);
    }
  });
});

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

  it("takes the limit in force as capacity and rate", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    set(20);
    expect(drain(buckets)).toBe(20);
    clock.nowMs = 5000;
    expect(drain(buckets)).toBe(10);
    set(100);
    clock.nowMs = 6000;
    expect(drain(buckets)).toBe(10);
  });

  it("keeps how full a bucket is when the limit changes", () => {
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, new TestClock(0));
    buckets.consume("key", 50);
    set(10);
    expect(buckets.peek("key", 1)).toMatchObject({ limit: 10, remaining: 5 });
  });

  it("says that the reduction refused while the unreduced limit had admitted, and no longer", () => {
    const clock = new TestClock(0);
    const { policy, set } = adaptive();
    const buckets = new AdaptiveBuckets(policy, clock);
    set(10);
    expect(drain(buckets)).toBe(10);
    let reduced = 1;
    while (buckets.consume("key", 1).wasReduced) reduced++;
    expect(reduced).toBe(90);
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: false });
    clock.nowMs = 100;
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: true });
    expect(buckets.consume("key", 1)).toMatchObject({ isAllowed: false, wasReduced: false });
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
      { numRuns: 100 },
    );
  });
});
