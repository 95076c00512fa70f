import { describe, expect, it } from "vitest";
import { seededRandom } from "../random.mjs";
import { PoissonArrivals } from "./arrivals.mjs";

function all(arrivals: PoissonArrivals): number[] {
  const found: number[] = [];
  for (let at = arrivals.next(); at !== undefined; at = arrivals.next()) found.push(at);
  return found;
}

describe("PoissonArrivals", () => {
  it("are the same for the same seed, and others for another", () => {
    const phases = [{ seconds: 2, rate: 50 }];
    const [one, again, other] = [1, 1, 2].map((seed) => all(new PoissonArrivals(phases, seededRandom(seed))));
    expect(one).toEqual(again);
    expect(one).not.toEqual(other);
  });

  it("come in order, within the phases, as many as the rates say", () => {
    const phases = [
      { seconds: 100, rate: 10 },
      { seconds: 50, rate: 200 },
      { seconds: 100, rate: 0 },
      { seconds: 100, rate: 10 },
    ];
    const found = all(new PoissonArrivals(phases, seededRandom(5)));
    expect(found).toEqual([...found].sort((one, other) => one - other));
    const between = (from: number, to: number) => found.filter((at) => at >= from && at < to).length;
    expect(between(150, 250)).toBe(0);
    expect(between(0, 350)).toBe(found.length);
    // Five standard deviations of a Poisson count.
    for (const [from, to, mean] of [
      [0, 100, 1000],
      [100, 150, 10_000],
      [250, 350, 1000],
    ] as const) {
      expect(Math.abs(between(from, to) - mean)).toBeLessThan(5 * Math.sqrt(mean));
    }
  });

  it("have gaps that scatter as those of independent arrivals", () => {
    const found = all(new PoissonArrivals([{ seconds: 1000, rate: 20 }], seededRandom(9)));
    const gaps = found.slice(1).map((at, index) => at - (found[index] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
  });
});
