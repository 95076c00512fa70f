import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DependencyPool } from "./dependency-pool.mjs";

describe("DependencyPool", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("serves so many at a time, the others in the order in which they came", async () => {
    const pool = new DependencyPool({ workers: 2, minMs: 10, maxMs: 200, random: () => 0 });
    const done: number[] = [];
    for (let call = 0; call < 5; call++) void pool.call().then(() => done.push(call));
    await vi.advanceTimersByTimeAsync(10);
    expect(done).toEqual([0, 1]);
    await vi.advanceTimersByTimeAsync(10);
    expect(done).toEqual([0, 1, 2, 3]);
    await vi.advanceTimersByTimeAsync(10);
    expect(done).toEqual([0, 1, 2, 3, 4]);
  });

  it("has its workers free again after a rush", async () => {
    const pool = new DependencyPool({ workers: 2, minMs: 10, maxMs: 10, random: () => 0 });
    for (let call = 0; call < 3; call++) void pool.call();
    await vi.advanceTimersByTimeAsync(20);
    const done: number[] = [];
    for (let call = 0; call < 2; call++) void pool.call().then((tookMs) => done.push(tookMs));
    await vi.advanceTimersByTimeAsync(10);
    expect(done).toEqual([10, 10]);
  });

  it("takes from the least time to the longest", async () => {
    const pool = new DependencyPool({ workers: 1, minMs: 10, maxMs: 200, random: () => 0.5 });
    const call = pool.call();
    await vi.advanceTimersByTimeAsync(105);
    expect(await call).toBe(105);
  });
});
