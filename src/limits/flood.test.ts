import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { testPolicy } from "../../test/limit-policy.js";
import { EventHub } from "../core/events.js";
import { GuardedStore } from "./guarded-store.js";
import { createMemoryCounts } from "./memory/store.js";
import type { MemoryCounts, RateLimitPolicy, RateLimitStore } from "./store.js";

const MOST_KEYS = 1000;
const WINDOW_MS = 60_000;

const policies: Readonly<Record<string, RateLimitPolicy>> = {
  "a token bucket": testPolicy("token-bucket", 5, WINDOW_MS, { maxKeys: MOST_KEYS }),
  "a sliding window": testPolicy("sliding-window", 5, WINDOW_MS, { maxKeys: MOST_KEYS }),
  "a sliding window of slots": testPolicy("sliding-window", 300, WINDOW_MS, { maxKeys: MOST_KEYS }),
  "an adaptive limit": testPolicy("token-bucket", 20, WINDOW_MS, { maxKeys: MOST_KEYS, isAdaptive: true }),
  "a reduced adaptive limit": testPolicy("token-bucket", 20, WINDOW_MS, {
    maxKeys: MOST_KEYS,
    isAdaptive: true,
    requestsInForce: 10,
  }),
};

/** A store that fails, so that this process counts by itself. */
const broken: RateLimitStore = {
  consume: () => Promise.reject(new Error("down")),
  peek: () => Promise.reject(new Error("down")),
  reset: () => Promise.reject(new Error("down")),
};

describe.each(Object.entries(policies))("a flood of new keys against %s", (_name, policy) => {
  function blocked(limit: MemoryCounts, clock: TestClock): readonly string[] {
    const keys = Array.from({ length: 50 }, (_, index) => `blocked ${index}`);
    for (const key of keys) {
      for (let sent = 0; sent < policy.requests + 1; sent++) limit.consume(key, 1);
      clock.nowMs++;
      expect(limit.consume(key, 1).isAllowed).toBe(false);
    }
    return keys;
  }

  it("sets nobody free who is blocked", () => {
    const clock = new TestClock(1000);
    const limit = createMemoryCounts(policy, clock);
    const keys = blocked(limit, clock);
    for (let index = 0; index < 20 * MOST_KEYS; index++) {
      // Slower than the window: what the flood used first is full again before it ends.
      if (index % 20 === 0) clock.nowMs++;
      limit.consume(`flood ${index}`, 1);
      if (index % MOST_KEYS === 0) for (const key of keys) expect(limit.peek(key, 1).remaining).toBe(0);
    }
    for (const key of keys) expect(limit.consume(key, policy.requests).isAllowed).toBe(false);
  });

  it("sets nobody free in the counts that stand in for a store either", async () => {
    const clock = new TestClock(1000);
    const guarded = new GuardedStore(broken, policy, { onError: "local", events: new EventHub(), clock });
    for (let sent = 0; sent < policy.requests + 1; sent++) await guarded.consume("blocked", 1);
    expect((await guarded.consume("blocked", 1)).isAllowed).toBe(false);
    for (let index = 0; index < 3 * MOST_KEYS; index++) await guarded.consume(`flood ${index}`, 1);
    expect((await guarded.consume("blocked", policy.requests)).isAllowed).toBe(false);
  });
});
