import type { Clock } from "../core/clock.js";
import { createMemoryCounts } from "./memory/store.js";
import type { MemoryCounts, RateLimitDecision, RateLimitPolicy } from "./store.js";

/** Seconds are all that `Retry-After` can say; a store that comes back is used at once. */
export const RETRY_AFTER_MS = 1000;
/** Stands in for a rank where none is known; the same for all limits of this process. */
const CHANCE = Math.random();

/** Among whom a quota is divided. */
export interface Sharing {
  readonly processes: number;
  /** The place of this process among them; `undefined` when it is not known. */
  readonly rank: number | undefined;
}

/**
 * The counts of one process while the store does not count: its share of the quota, for each key.
 *
 * A quota of 20 among 8 processes is 2 for each, and one more for 4 of them. Which 4 it is depends on the
 * key and on the rank of the process, so that all of them together grant 20 for every key; and of a quota
 * of 5, 5 grant one and 3 nothing. A process that does not know its rank grants nothing of what is left
 * over, unless that is all there is: then it draws a rank, and the sum is right on average.
 */
export class StandIn {
  readonly processes: number;
  readonly #rank: number;
  /** So many processes grant a unit more. */
  readonly #more: number;
  readonly #smaller: MemoryCounts;
  readonly #larger: MemoryCounts;

  constructor(policy: RateLimitPolicy, { processes, rank }: Sharing, clock: Clock) {
    const share = Math.floor(policy.requests / processes);
    const isRanked = rank !== undefined && Number.isSafeInteger(rank) && rank >= 0;
    this.processes = processes;
    this.#rank = isRanked ? rank % processes : Math.floor(CHANCE * processes);
    this.#more = isRanked || share === 0 ? policy.requests - share * processes : 0;
    this.#smaller = share === 0 ? nothing(policy) : createMemoryCounts(shareOf(policy, share, processes), clock);
    this.#larger = this.#more === 0 ? this.#smaller : createMemoryCounts(shareOf(policy, share + 1, processes), clock);
  }

  /** What counts a key here. */
  countsOf(key: string): MemoryCounts {
    if (this.#more === 0) return this.#smaller;
    return (this.#rank + hashOf(key)) % this.processes < this.#more ? this.#larger : this.#smaller;
  }
}

function shareOf(policy: RateLimitPolicy, requests: number, processes: number): RateLimitPolicy {
  if (processes === 1) return policy;
  return Object.freeze({
    ...policy,
    requests,
    get requestsInForce() {
      return Math.min(requests, Math.max(1, Math.floor(policy.requestsInForce / processes)));
    },
  });
}

/** The limit of a process that has no share. */
function nothing({ requests }: RateLimitPolicy): MemoryCounts {
  const decide = (_key: string, cost: number): RateLimitDecision => ({
    isAllowed: cost === 0,
    limit: requests,
    remaining: 0,
    resetMs: RETRY_AFTER_MS,
    moreMs: RETRY_AFTER_MS,
    retryAfterMs: cost === 0 ? 0 : RETRY_AFTER_MS,
    wasReduced: false,
  });
  return {
    consume: decide,
    charge: decide,
    peek: decide,
    giveBack: () => {},
    reset: () => {},
    byteLength: 0,
    isLocal: true,
  };
}

/** The same in every process (FNV-1a), unlike the hash of the tables. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return ((hash >>> 16) ^ hash) >>> 0;
}
