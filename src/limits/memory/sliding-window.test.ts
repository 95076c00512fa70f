import { describe, expect, it } from "vitest";
import { TestClock } from "../../../test/clock.js";
import fc, { runs } from "../../../test/fast-check.js";
import { testPolicy } from "../../../test/limit-policy.js";
import { SlidingWindows } from "./sliding-window.js";

const origins = fc.constantFrom(0, 0.3, 123_456.789, 1e9 + 0.5, 86_400_000 * 365);
const waits = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 400, noNaN: true }) },
  { weight: 2, arbitrary: fc.nat(1000) },
  { weight: 1, arbitrary: fc.nat(4000) },
);
// Half of the requests come just before or after the moment that the last refusal named.
const earlyMs = fc.option(fc.oneof(fc.constantFrom(0, 0.0005, 0.001), fc.double({ min: -2, max: 12, noNaN: true })));
const costs = fc.constantFrom(0, 1, 1, 1, 2, 3);
const schedules = fc.array(fc.record({ waitMs: waits, earlyMs, cost: costs }), { maxLength: 150 });

interface Admitted {
  readonly atMs: number;
  readonly cost: number;
}

/** Units admitted in the window that ends now, the moment a window ago left out. */
function unitsInWindow(admitted: readonly Admitted[], nowMs: number, windowMs: number): number {
  return admitted.filter(({ atMs }) => nowMs - atMs < windowMs).reduce((sum, { cost }) => sum + cost, 0);
}

describe("SlidingWindows", () => {
  it("up to 256 requests admits exactly what the list of admitted times allows", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(1, 7, 250, 1000, 3000),
        origins,
        schedules,
        (requests, windowMs, originMs, schedule) => {
          const clock = new TestClock(originMs);
          const windows = new SlidingWindows(testPolicy("sliding-window", requests, windowMs), clock);
          const admitted: Admitted[] = [];
          let retryAfterMs = 0;
          for (const { waitMs, earlyMs, cost } of schedule) {
            clock.nowMs += earlyMs === null ? waitMs : Math.max(0, retryAfterMs - earlyMs);
            const used = unitsInWindow(admitted, clock.nowMs, windowMs);
            const decision = windows.consume("key", cost);
            retryAfterMs = decision.retryAfterMs;
            // Admitted only if exact counting admits it; refused only if counting with two ticks more does.
            if (decision.isAllowed) expect(used + cost).toBeLessThanOrEqual(requests);
            else expect(unitsInWindow(admitted, clock.nowMs, windowMs + 0.002) + cost).toBeGreaterThan(requests);
            if (decision.isAllowed && cost > 0) admitted.push({ atMs: clock.nowMs, cost });
          }
        },
      ),
      runs(500),
    );
  });

  it("on whole milliseconds agrees with the list to the unit, in every figure", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 256 }),
        fc.array(fc.record({ waitMs: fc.nat(40), cost: fc.nat(60) }), { maxLength: 150 }),
        (requests, schedule) => {
          const clock = new TestClock(17);
          const windows = new SlidingWindows(testPolicy("sliding-window", requests, 500), clock);
          const admitted: Admitted[] = [];
          for (const { waitMs, cost } of schedule) {
            clock.nowMs += waitMs;
            const used = unitsInWindow(admitted, clock.nowMs, 500);
            const isAllowed = used + cost <= requests;
            if (isAllowed && cost > 0) admitted.push({ atMs: clock.nowMs, cost });
            const newest = admitted.at(-1);
            const resetMs = newest === undefined ? 0 : Math.max(0, newest.atMs + 500 - clock.nowMs);
            const decision = windows.consume("key", cost);
            expect(decision).toMatchObject({ isAllowed, remaining: requests - used - (isAllowed ? cost : 0), resetMs });
          }
        },
      ),
      runs(200),
    );
  });

  it("above 256 requests keeps the bound, and refuses at most a slot early", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 257, max: 700 }),
        fc.constantFrom(250, 1000, 3000),
        origins,
        fc.array(fc.record({ waitMs: fc.oneof(fc.nat(3), fc.nat(300), waits), earlyMs, cost: fc.nat(90) }), {
          maxLength: 150,
        }),
        (requests, windowMs, originMs, schedule) => {
          const clock = new TestClock(originMs);
          const windows = new SlidingWindows(testPolicy("sliding-window", requests, windowMs), clock);
          const admitted: Admitted[] = [];
          let retryAfterMs = 0;
          for (const { waitMs, earlyMs, cost } of schedule) {
            clock.nowMs += earlyMs === null ? waitMs : Math.max(0, retryAfterMs - earlyMs);
            const decision = windows.consume("key", cost);
            retryAfterMs = decision.retryAfterMs;
            if (decision.isAllowed) {
              expect(unitsInWindow(admitted, clock.nowMs, windowMs) + cost).toBeLessThanOrEqual(requests);
              admitted.push({ atMs: clock.nowMs, cost });
            } else {
              const early = unitsInWindow(admitted, clock.nowMs, windowMs * (1 + 1 / 256) + 0.002);
              expect(early + cost).toBeGreaterThan(requests);
            }
          }
        },
      ),
      runs(200),
    );
  });

  it("admits who waits exactly Retry-After", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 5, 255, 256, 257, 1000, 100_003),
        fc.oneof(fc.double({ min: 1, max: 90_000, noNaN: true }), fc.constantFrom(1000 / 3, 2_678_400_000)),
        fc.constantFrom(0, 0.3, 123_456.789, 1e9 + 0.5, 1e15),
        fc.array(fc.double({ min: 0, max: 3000, noNaN: true }), { maxLength: 15 }),
        (requests, windowMs, originMs, schedule) => {
          const clock = new TestClock(originMs);
          const windows = new SlidingWindows(testPolicy("sliding-window", requests, windowMs), clock);
          const cost = Math.max(1, Math.floor(requests / 3));
          for (const waitMs of schedule) {
            clock.nowMs += waitMs;
            let decision = windows.consume("key", cost);
            for (let tries = 0; decision.isAllowed && tries < 5; tries++) decision = windows.consume("key", cost);
            expect(decision.isAllowed).toBe(false);
            clock.nowMs += Math.ceil(decision.retryAfterMs / 1000) * 1000;
            expect(windows.consume("key", cost).isAllowed).toBe(true);
          }
        },
      ),
      runs(300),
    );
  });

  it.each([5, 300, 100_000])(
    "tells no time beyond the window at the first unit, between ticks too (%i requests)",
    (requests) => {
      for (const originMs of [0, 0.0003, 17.77777, 123_456.789]) {
        for (const windowMs of [1000, 60_000]) {
          const clock = new TestClock(originMs);
          const windows = new SlidingWindows(testPolicy("sliding-window", requests, windowMs), clock);
          expect(windows.consume("key", 1)).toMatchObject({ resetMs: windowMs, moreMs: windowMs });
          clock.nowMs += windowMs / 4;
          const { resetMs, moreMs = 0 } = windows.consume("key", 1);
          expect(resetMs).toBe(windowMs);
          expect(Math.abs(moreMs - windowMs * 0.75)).toBeLessThanOrEqual(1);
        }
      }
    },
  );

  it("allows no burst at the boundary of two windows", () => {
    const clock = new TestClock(0);
    const windows = new SlidingWindows(testPolicy("sliding-window", 5, 300_000), clock);
    clock.nowMs = 299_000;
    for (let index = 0; index < 5; index++) expect(windows.consume("key", 1).isAllowed).toBe(true);
    clock.nowMs = 301_000;
    expect(windows.consume("key", 1)).toMatchObject({ isAllowed: false, remaining: 0, retryAfterMs: 298_000 });
    clock.nowMs = 598_999;
    expect(windows.consume("key", 1).isAllowed).toBe(false);
    clock.nowMs = 599_000;
    expect(windows.consume("key", 5).isAllowed).toBe(true);
  });

  it("holds the bound between two ticks of its clock", () => {
    const clock = new TestClock(0.0005);
    const windows = new SlidingWindows(testPolicy("sliding-window", 1, 1000), clock);
    windows.consume("key", 1);
    clock.nowMs = 1000.0001;
    expect(windows.consume("key", 1).isAllowed).toBe(false);
    clock.nowMs = 1000.001;
    expect(windows.consume("key", 1).isAllowed).toBe(true);
  });

  it.each([5, 300])("gives back what was taken last, and resets (%i requests)", (requests) => {
    const clock = new TestClock(0);
    const windows = new SlidingWindows(testPolicy("sliding-window", requests, 1000), clock);
    windows.consume("key", 1);
    clock.nowMs = 500;
    windows.consume("key", requests - 1);
    windows.giveBack("key", requests - 2);
    expect(windows.peek("key", 1)).toMatchObject({ isAllowed: true, remaining: requests - 2 });
    windows.giveBack("key", 1);
    expect(windows.peek("key", 1).remaining).toBe(requests - 1);
    expect(windows.peek("key", 1).resetMs).toBeLessThanOrEqual(505);
    windows.giveBack("key", 9);
    windows.giveBack("key", 9);
    expect(windows.peek("key", 1)).toMatchObject({ remaining: requests, resetMs: 0 });
    windows.consume("key", requests);
    expect(windows.consume("key", 1).isAllowed).toBe(false);
    windows.reset("key");
    windows.reset("nobody");
    expect(windows.consume("key", requests).isAllowed).toBe(true);
  });

  it("keeps many keys apart while their memory is shared, dropped and used again", () => {
    fc.assert(
      fc.property(fc.constantFrom(6, 40, 400), fc.integer({ min: 0, max: 1 << 30 }), (requests, seed) => {
        const clock = new TestClock(0);
        const windows = new SlidingWindows(testPolicy("sliding-window", requests, 100), clock);
        const admitted = new Map<string, Admitted[]>();
        let random = seed;
        for (let index = 0; index < 1500; index++) {
          random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff;
          clock.nowMs += (random >> 8) % 40 === 0 ? 35 : 0;
          const key = `k${(random >> 12) % 50}`;
          const cost = 1 + ((random >> 20) % Math.min(5, requests));
          const own = admitted.get(key) ?? [];
          admitted.set(key, own);
          if ((random >> 4) % 97 === 0) {
            windows.reset(key);
            own.length = 0;
          }
          const used = unitsInWindow(own, clock.nowMs, 100);
          const decision = windows.consume(key, cost);
          if (decision.isAllowed) {
            expect(used + cost).toBeLessThanOrEqual(requests);
            own.push({ atMs: clock.nowMs, cost });
          } else if (requests <= 256) expect(used + cost).toBeGreaterThan(requests);
        }
      }),
      runs(30),
    );
  });

  it("keeps counting when the clock goes back or jumps so far that times are moved", () => {
    const clock = new TestClock(10_000);
    const windows = new SlidingWindows(testPolicy("sliding-window", 2, 1000), clock);
    windows.consume("key", 2);
    clock.nowMs = 2000;
    expect(windows.consume("key", 1).isAllowed).toBe(false);
    for (const jumpMs of [1e10, 1e13, 1e15]) {
      clock.nowMs += jumpMs;
      expect(windows.consume("key", 2).isAllowed).toBe(true);
      clock.nowMs += 999;
      expect(windows.consume("key", 1)).toMatchObject({ isAllowed: false, retryAfterMs: 1 });
      clock.nowMs += 1;
      expect(windows.consume("key", 2).isAllowed).toBe(true);
    }
  });

  it("forgets the keys first that are full again soonest", () => {
    const clock = new TestClock(0);
    const windows = new SlidingWindows(testPolicy("sliding-window", 2, 10_000, { maxKeys: 16 }), clock);
    for (let index = 0; index < 5000; index++) {
      clock.nowMs++;
      windows.consume(`flood ${index}`, 1);
      windows.consume("busy", 1);
      clock.nowMs += index % 12 === 0 ? 4999 : 0;
    }
    for (let index = 4986; index < 5000; index++) expect(windows.peek(`flood ${index}`, 1).remaining).toBe(1);
    expect(windows.peek("flood 4000", 1).remaining).toBe(2);
    expect(windows.byteLength).toBeLessThan(200_000);
  });

  it("never admits what costs more than a window, whatever another key has used", () => {
    const clock = new TestClock(0);
    const windows = new SlidingWindows(testPolicy("sliding-window", 5, 1000), clock);
    windows.consume("other", 5);
    clock.nowMs += 700;
    windows.peek("other", 1);
    expect(windows.consume("key", 6)).toMatchObject({ isAllowed: false, retryAfterMs: 1000, remaining: 5 });
  });
});
