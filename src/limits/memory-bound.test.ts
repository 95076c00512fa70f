import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { testPolicy } from "../../test/limit-policy.js";
import { systemClock } from "../core/clock.js";
import { createMemoryCounts } from "./memory/store.js";
import type { MemoryCounts } from "./store.js";

/** Fills its table as far as a million fills one of four times the size. Set `CELLO_LONG_TESTS` for the million. */
const KEYS = process.env.CELLO_LONG_TESTS === undefined ? 250_000 : 1_000_000;

function address(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

/** Bytes in arrays that are in use. V8 frees them on a thread of its own, which a busy machine lets wait. */
async function arrayBytes(): Promise<number> {
  if (typeof collectGarbage !== "function") throw new Error("this Node has no gc");
  for (let before = Number.NaN; ; ) {
    collectGarbage();
    await setTimeout(50);
    const { arrayBuffers } = process.memoryUsage();
    if (arrayBuffers === before) return arrayBuffers;
    before = arrayBuffers;
  }
}

/** Bytes that the process holds in arrays more than before. */
async function fill(limit: MemoryCounts, each: number): Promise<number> {
  const before = await arrayBytes();
  for (let index = 0; index < KEYS; index++) limit.consume(address(index), each);
  return Math.max((await arrayBytes()) - before, limit.byteLength);
}

describe(`memory at ${KEYS} keys`, () => {
  it("is 40 bytes a key or less for the token bucket", async () => {
    const limit = createMemoryCounts(testPolicy("token-bucket", 100, 3_600_000), systemClock);
    await fill(limit, 1);
    expect(limit.byteLength / KEYS).toBeLessThanOrEqual(40);
    expect(limit.peek(address(7), 1).remaining).toBe(99);
  });

  it.each([1, 5, 9])("is 8 bytes more for each of %i admitted requests in a sliding window", async (each) => {
    const limit = createMemoryCounts(testPolicy("sliding-window", 100, 3_600_000), systemClock);
    await fill(limit, each);
    expect(limit.byteLength / KEYS).toBeLessThanOrEqual(40 + 8 * each);
    expect(limit.peek(address(7), 1).remaining).toBe(100 - each);
  });

  it.each([100, 10_000])("is within that at every number of keys with one request of %i a window", (requests) => {
    const limit = createMemoryCounts(testPolicy("sliding-window", requests, 3_600_000), systemClock);
    for (let keys = 1; keys <= KEYS; keys++) {
      limit.consume(address(keys), 1);
      if (keys >= 50_000 && keys % 10_000 === 0)
        expect(limit.byteLength / keys, `${keys} keys`).toBeLessThanOrEqual(48);
    }
  });

  it("takes no more for keys that are back at one request than for those that never had more", () => {
    const clock = new TestClock(0);
    const limit = createMemoryCounts(testPolicy("sliding-window", 10_000, 1_000_000), clock);
    for (let index = 0; index < 20_000; index++) limit.consume(address(index), 1);
    clock.nowMs = 500_000;
    for (let index = 0; index < 10_000; index++) limit.consume(address(index), 1);
    const most = limit.byteLength;
    for (let index = 0; index < 10_000; index++) limit.giveBack(address(index), 1);
    for (let index = 10_000; index < 20_000; index++) limit.consume(address(index), 1);
    expect(limit.byteLength).toBe(most);
    expect(limit.peek(address(7), 1).remaining).toBe(9999);
    expect(limit.peek(address(17_000), 1).remaining).toBe(9998);
  });

  it.each([
    ["token-bucket", 40],
    ["sliding-window", 48],
  ] as const)("stays within maxKeys times %s's bytes a key, whoever floods", async (algorithm, bytes) => {
    const maxKeys = KEYS / 10;
    const limit = createMemoryCounts(testPolicy(algorithm, 100, 3_600_000, { maxKeys }), systemClock);
    // As much again for keys that are forgotten and not yet left out; how many depends on the random hash key, so
    // there is room for half more. Without the bound it would be ten times as many.
    expect(await fill(limit, 1)).toBeLessThan(maxKeys * bytes * 3);
  });
});
