import type { MaybePromise } from "../core/later.js";
/** What a store must know of a limit. */
export interface RateLimitPolicy {
  /**
   * What tells this limit from all others in the same store, the same after a restart and on every
   * machine: the name, and for a limit of one route also the route.
   */
  readonly id: string;
  /** The quota's name. */
  readonly name: string;
  readonly algorithm: "token-bucket" | "sliding-window";
  /** Cost units per window. */
  readonly requests: number;
  readonly windowMs: number;
  /** Keys that are kept at most; a store that bounds its memory by other means need not heed it. */
  readonly maxKeys: number;
  /** Whether `requestsInForce` moves with the load; token buckets only. */
  readonly isAdaptive: boolean;
  /** Cost units per window that are granted at this moment: `requests`, or less under load. */
  readonly requestsInForce: number;
}

/** What a store says about one key. */
export interface RateLimitDecision {
  readonly isAllowed: boolean;
  /** Cost units per window in force. */
  readonly limit: number;
  /** Whole cost units that would be admitted now. */
  readonly remaining: number;
  /** Milliseconds until the whole quota is there again; 0 for an unused key. */
  readonly resetMs: number;
  /**
   * Milliseconds until one unit more is there than now; 0 when all of them are. Not given: as `resetMs`.
   * Clients are told it as the `t` of `RateLimit`.
   */
  readonly moreMs?: number | undefined;
  /** Milliseconds after which the same request is admitted; 0 when it was. */
  readonly retryAfterMs: number;
  /** Refused only because the limit is reduced under load. */
  readonly wasReduced: boolean;
  /** Cost units that were charged beyond the quota and are not paid back yet; not given: none. */
  readonly debt?: number | undefined;
}

/**
 * Keeps the counts of limits. The one in memory is used when a configuration names none.
 *
 * A store decides and takes in one step; of two requests at once, at most as many are admitted as the
 * limit has room for. A refused request takes nothing. When a store fails it throws or rejects, and
 * the limit does what its `onStoreError` says.
 */
export interface RateLimitStore {
  /**
   * Takes `cost` from the key's quota if it is there. A negative cost gives back what was taken, for
   * a request that another limit refused.
   */
  consume(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision>;
  /**
   * Takes `cost` whether the quota has it or not, for work that is done already. A key owes at most
   * another quota; what is beyond that is let go. The answer is allowed when the quota had it all; if
   * not, `retryAfterMs` is when a cost of 1 is admitted again. A store without it refuses
   * `app.rateLimit.consume(key, cost, { debt: true })`.
   */
  charge?(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision>;
  /** What `consume` with this cost (1 when not given) would answer, without taking anything. */
  peek(policy: RateLimitPolicy, key: string, cost?: number): MaybePromise<RateLimitDecision>;
  /** Forgets what the key has used. */
  reset(policy: RateLimitPolicy, key: string): MaybePromise<void>;
  /**
   * How many processes share the counts, as known last. While the store fails, a limit with
   * `onStoreError: "local"` grants the quota divided by it. Not given: 1.
   */
  readonly processes?: number | undefined;
  /**
   * The place of this process among them, from 0, as known last: each has another. It decides who grants what
   * is left over when the quota is divided, so that a quota smaller than the number of processes is not
   * granted once by each. Not given: chance decides.
   */
  readonly rank?: number | undefined;
  /** Connects, before the application listens; waits a moment at most, and must not fail. */
  open?(): MaybePromise<void>;
  /** Ends connections and timers. */
  close?(): MaybePromise<void>;
}

/** What the counts of a limit say: a store's decision, or what stands in for it. */
export interface Decision extends RateLimitDecision {
  /** The store did not answer and nobody counted: the figures say nothing. */
  readonly isUnavailable?: boolean;
  /** Counted in this process, because the store did not answer. */
  readonly isLocal?: boolean;
}

/** The counts of one limit, wherever they are kept. A store that fails is no failure of theirs. */
export interface Counts {
  /** Whether they are in this process, which answers at once. */
  readonly isLocal: boolean;
  consume(key: string, cost: number): MaybePromise<Decision>;
  /** Takes into debt, of at most another quota. */
  charge(key: string, cost: number): MaybePromise<Decision>;
  peek(key: string, cost: number): MaybePromise<Decision>;
  /**
   * Gives back what was taken, for a request that something else refused.
   *
   * @param taken the decision that took it
   */
  giveBack(key: string, cost: number, taken: Decision): MaybePromise<unknown>;
  /** Forgets a key; rejects when a store does, because the caller is the application. */
  reset(key: string): MaybePromise<void>;
}

/** Counts in this process's memory. */
export interface MemoryCounts extends Counts {
  readonly isLocal: true;
  consume(key: string, cost: number): Decision;
  charge(key: string, cost: number): Decision;
  peek(key: string, cost: number): Decision;
  giveBack(key: string, cost: number): void;
  reset(key: string): void;
  /** Bytes held by its tables. */
  readonly byteLength: number;
}
