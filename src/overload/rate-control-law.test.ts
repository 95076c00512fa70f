import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import {
  type AdaptiveBounds,
  type AdaptiveSignals,
  type AdaptiveState,
  nextLimit,
  unreduced,
} from "./rate-control-law.js";

const bounds: AdaptiveBounds = {
  minRequests: 10,
  baseRequests: 100,
  cpuThreshold: 0.8,
  memoryThreshold: 0.9,
  latencyThresholdMs: 100,
};
const calm: AdaptiveSignals = {
  cpu: 0.1,
  eventLoopUtilization: 0.1,
  eventLoopDelayMs: 1,
  memory: 0.2,
  latencyMs: 5,
  inFlight: 1,
  backlogMs: 0,
  shedShare: 0,
  isRefusing: false,
};
const full = unreduced(bounds);
const floor: AdaptiveState = { ...full, limit: 10 };

function run(state: AdaptiveState, signals: AdaptiveSignals, seconds: number, stepMs = 100): AdaptiveState {
  let current = state;
  for (let atMs = 0; atMs < seconds * 1000; atMs += stepMs) current = nextLimit(bounds, current, signals, stepMs);
  return current;
}

describe("nextLimit", () => {
  it("stays between floor and ceiling and a number, whatever the signals say, and always recovers", () => {
    const signal = fc.oneof(
      fc.double({ min: 0, max: 3 }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1e9),
    );
    const signals = fc.record({
      cpu: signal,
      eventLoopUtilization: signal,
      eventLoopDelayMs: signal,
      memory: signal,
      latencyMs: signal,
      inFlight: signal,
      backlogMs: signal,
      shedShare: signal,
      isRefusing: fc.boolean(),
    });
    const elapsed = fc.oneof(fc.nat(5000), fc.constantFrom(0, -5, 1e12));
    fc.assert(
      fc.property(fc.array(fc.tuple(signals, elapsed), { maxLength: 60 }), (profile) => {
        let state = full;
        for (const [given, elapsedMs] of profile) {
          state = nextLimit(bounds, state, given, elapsedMs);
          expect(state.limit).toBeGreaterThanOrEqual(10);
          expect(state.limit).toBeLessThanOrEqual(100);
        }
        expect(run(state, calm, 10).limit).toBe(100);
      }),
      runs(500),
    );
  });

  it("recovers with any signals missing, and is moved by those that are there", () => {
    const fields = [
      "cpu",
      "eventLoopUtilization",
      "eventLoopDelayMs",
      "memory",
      "latencyMs",
      "backlogMs",
      "shedShare",
    ] as const;
    fc.assert(
      fc.property(fc.subarray([...fields]), (missing) => {
        const blind = { ...calm, ...Object.fromEntries(missing.map((field) => [field, Number.NaN])) };
        expect(run(floor, blind, 10).limit).toBe(100);
        const overloaded = { ...blind, memory: 0.99 };
        expect(run(full, overloaded, 5).limit).toBeLessThan(60);
      }),
    );
  });

  it.each([
    ["cpu", { cpu: 0.95 }],
    ["event-loop", { eventLoopUtilization: 0.95 }],
    ["event-loop", { eventLoopDelayMs: 150 }],
    ["memory", { memory: 0.99 }],
    ["latency", { latencyMs: 150 }],
    ["latency", { backlogMs: 150 }],
    ["shedding", { shedShare: 0.5 }],
  ] as const)("says that it was %s", (reason, over) => {
    expect(run(full, { ...calm, ...over }, 0.1)).toMatchObject({ reason });
    expect(run(full, { ...calm, ...over }, 0.1).limit).toBeLessThan(100);
  });

  it("goes down the faster the worse the overshoot", () => {
    const some = run(full, { ...calm, latencyMs: 150 }, 1).limit;
    const more = run(full, { ...calm, latencyMs: 300 }, 1).limit;
    const most = run(full, { ...calm, latencyMs: 10_000 }, 1).limit;
    expect(some).toBeLessThan(90);
    expect(more).toBeLessThan(some * 0.75);
    expect(most).toBe(10);
  });

  it("holds between nine tenths of a threshold and the threshold", () => {
    const state = { ...full, limit: 50 };
    expect(run(state, { ...calm, cpu: 0.75 }, 20).limit).toBe(50);
    expect(run(state, { ...calm, latencyMs: 95 }, 20).limit).toBe(50);
  });

  it("does not go on down while a queue is worked off", () => {
    let state = run(full, { ...calm, latencyMs: 200 }, 1);
    const { limit } = state;
    for (let latencyMs = 190; latencyMs > 105; latencyMs -= 5) {
      state = nextLimit(bounds, state, { ...calm, latencyMs }, 100);
    }
    expect(state.limit).toBeGreaterThan(limit * 0.9);
  });

  it("is back at the ceiling within 10 s after the load, however far it is, without jumps", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 0, max: 10_000 }), (minRequests, more) => {
        const wide = { ...bounds, minRequests, baseRequests: minRequests * (1 + more) };
        let state = { ...unreduced(wide), limit: minRequests, metAt: minRequests };
        for (let step = 0; step < 100; step++) {
          const next = nextLimit(wide, state, calm, 100);
          expect(next.limit).toBeLessThanOrEqual(state.limit * 1.25);
          state = next;
        }
        expect(state.limit).toBe(wide.baseRequests);
      }),
    );
  });

  it("takes care near the limit at which the last overload was met, as long as requests are refused", () => {
    const met = { ...full, limit: 40, metAt: 45, calmS: 1 };
    const wanted = run(met, { ...calm, isRefusing: true }, 1).limit;
    const unwanted = run(met, calm, 1).limit;
    expect(wanted).toBeLessThan(52);
    expect(unwanted).toBeGreaterThan(75);
    expect(run(met, { ...calm, isRefusing: true }, 15).limit).toBe(100);
  });

  it("takes no notice of a share in use whose threshold is all there is", () => {
    const open = { ...bounds, cpuThreshold: 1 };
    expect(
      nextLimit(open, { ...full, limit: 50 }, { ...calm, cpu: 1, eventLoopUtilization: 1 }, 100).limit,
    ).toBeGreaterThan(50);
  });
});
