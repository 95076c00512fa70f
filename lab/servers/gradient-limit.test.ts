import { describe, expect, it } from "vitest";
import { GradientLimit } from "./gradient-limit.mjs";

/** Fills the limit once and answers all with one latency. */
function fill(limit: GradientLimit, latencyMs: number): number {
  let entered = 0;
  while (limit.enter()) entered++;
  for (let index = 0; index < entered; index++) limit.leave(latencyMs);
  return entered;
}

describe("GradientLimit", () => {
  it("lets in as many as its limit, and one more for each that leaves", () => {
    const limit = new GradientLimit({ initial: 3 });
    expect([1, 2, 3, 4].map(() => limit.enter())).toEqual([true, true, true, false]);
    limit.leave(10);
    expect(limit.enter()).toBe(true);
  });

  it("grows by smoothing x queue at an answer while latencies are steady", () => {
    const limit = new GradientLimit({ initial: 2 });
    limit.enter();
    limit.leave(10);
    expect(limit.limit).toBeCloseTo(2 + 0.2 * 4);
  });

  it("follows the formula when latencies rise", () => {
    const limit = new GradientLimit({ initial: 10, queue: 0 });
    for (let index = 0; index < 10; index++) limit.enter();
    // Ten samples of 10 ms make both averages 10; the limit keeps, for the gradient is capped at 1.
    for (let index = 0; index < 10; index++) {
      limit.leave(10);
      limit.enter();
    }
    expect(limit.limit).toBe(10);
    limit.leave(100);
    const short = 10 + (90 * 2) / 11;
    const long = 10 + (90 * 2) / 601;
    const gradient = Math.max(0.5, (1.5 * long) / short);
    expect(limit.limit).toBeCloseTo(10 * 0.8 + 10 * gradient * 0.2);
  });

  it("keeps a limit that is not half used", () => {
    const limit = new GradientLimit({ initial: 20 });
    limit.enter();
    limit.leave(10);
    expect(limit.limit).toBe(20);
  });

  it("stays between floor and ceiling", () => {
    const limit = new GradientLimit();
    for (let round = 0; round < 50; round++) fill(limit, 10);
    expect(limit.limit).toBe(200);
    const small = new GradientLimit({ queue: 0 });
    fill(small, 10);
    for (let latencyMs = 20; latencyMs < 1e9; latencyMs *= 1.3) fill(small, latencyMs);
    expect(small.limit).toBe(1);
    expect(small.enter()).toBe(true);
  });
});
