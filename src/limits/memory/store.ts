import { type Clock, readClock } from "../../core/clock.js";
import { read } from "../../core/options.js";
import { strictConstruction } from "../../core/strict-calls.js";
import type { MemoryCounts, RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../store.js";
import { AdaptiveBuckets } from "./adaptive-bucket.js";
import { SlidingWindows } from "./sliding-window.js";
import { TokenBuckets } from "./token-bucket.js";

/** The counts of one limit in this process's memory. */
export function createMemoryCounts(policy: RateLimitPolicy, clock: Clock): MemoryCounts {
  if (policy.algorithm === "sliding-window") return new SlidingWindows(policy, clock);
  return policy.isAdaptive ? new AdaptiveBuckets(policy, clock) : new TokenBuckets(policy, clock);
}

/**
 * Counts in this process's memory. A limit without a `store` has its own; give one to several
 * configurations to look at their counts together, or to reset them.
 *
 * Memory is bounded by each limit's `maxKeys`. Keys are not kept, only fingerprints of them.
 *
 * @example
 * ```ts
 * const store = new MemoryRateLimitStore();
 * RateLimitConfig.tokenBucket({ requests: 100, window: 60, store });
 * ```
 */
export class MemoryRateLimitStore implements RateLimitStore {
  readonly #clock: Clock;
  readonly #byPolicy = new WeakMap<RateLimitPolicy, MemoryCounts>();
  readonly #byId = new Map<string, MemoryCounts>();

  /**
   * @param options a clock other than the machine's, for tests
   * @throws ConfigError for an option that is unknown or cannot be used
   */
  constructor(options?: { readonly clock?: Clock | undefined }) {
    strictConstruction("new MemoryRateLimitStore(options)", arguments);
    this.#clock = read("MemoryRateLimitStore", options, { clock: readClock }).clock;
  }

  consume(policy: RateLimitPolicy, key: string, cost: number): RateLimitDecision {
    const limit = this.#limit(policy);
    if (cost >= 0) return limit.consume(key, cost);
    limit.giveBack(key, -cost);
    return limit.peek(key, 0);
  }

  charge(policy: RateLimitPolicy, key: string, cost: number): RateLimitDecision {
    return this.#limit(policy).charge(key, cost);
  }

  peek(policy: RateLimitPolicy, key: string, cost = 1): RateLimitDecision {
    return this.#limit(policy).peek(key, cost);
  }

  reset(policy: RateLimitPolicy, key: string): void {
    this.#limit(policy).reset(key);
  }

  close(): void {
    this.#byId.clear();
  }

  #limit(policy: RateLimitPolicy): MemoryCounts {
    const known = this.#byPolicy.get(policy);
    if (known !== undefined) return known;
    // Policies of the same id and figures share their counts, as they would in a store elsewhere.
    const id = JSON.stringify([policy.id, policy.algorithm, policy.requests, policy.windowMs, policy.isAdaptive]);
    const limit = this.#byId.get(id) ?? createMemoryCounts(policy, this.#clock);
    this.#byId.set(id, limit);
    this.#byPolicy.set(policy, limit);
    return limit;
  }
}
