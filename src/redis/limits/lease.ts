import type { RateLimitDecision } from "../../limits/store.js";
import type { Price, Rest } from "./figures.js";

/** Units of a key's quota that this process holds and decides about by itself. */
export class Lease {
  #left: number;
  #used = 0;
  #usedAtMs: number;
  readonly #resetAtMs: number;
  readonly #moreAtMs: number;

  constructor(
    readonly id: string,
    /** The price of a unit, as it was when the units were taken. */
    readonly price: Price,
    readonly options: {
      readonly units: number;
      /** Units per window, as decisions tell. */
      readonly limit: number;
      /** From this moment on, on the monotonic clock, nothing of it may be used. */
      readonly deadlineMs: number;
      readonly grantedMs: number;
      readonly rest: Rest;
      /** Units beside the lease that nobody else takes. */
      readonly spare: number;
    },
  ) {
    this.#left = options.units;
    this.#usedAtMs = options.grantedMs;
    this.#resetAtMs = options.grantedMs + options.rest.resetMs;
    this.#moreAtMs = options.grantedMs + options.rest.moreMs;
  }

  /** Units that were not used. */
  get left(): number {
    return this.#left;
  }

  /** Whether nobody used it for so long, or may use it any more. */
  isIdle(nowMs: number, idleMs: number): boolean {
    return nowMs >= this.options.deadlineMs || nowMs - this.#usedAtMs >= idleMs;
  }

  /** Takes units; `undefined` when there are not enough of them, or it is too late to use them. */
  take(cost: number, nowMs: number): RateLimitDecision | undefined {
    if (cost > this.#left || nowMs >= this.options.deadlineMs) return undefined;
    this.#left -= cost;
    this.#used += cost;
    this.#usedAtMs = nowMs;
    return this.#decision(nowMs);
  }

  /** What a request of this cost would be told; `undefined` when Redis must be asked. */
  peek(cost: number, nowMs: number): RateLimitDecision | undefined {
    return cost > this.#left || nowMs >= this.options.deadlineMs ? undefined : this.#decision(nowMs);
  }

  /** Takes units back that were used; `undefined` when they were not of this lease. */
  giveBack(cost: number, nowMs: number): RateLimitDecision | undefined {
    if (cost > this.#used || nowMs >= this.options.deadlineMs) return undefined;
    this.#used -= cost;
    this.#left += cost;
    return this.#decision(nowMs);
  }

  #decision(nowMs: number): RateLimitDecision {
    const { limit, spare, rest } = this.options;
    // The least of two: the difference of two times may come out a little more than what was added.
    const resetMs = Math.max(0, Math.min(rest.resetMs, Math.ceil(this.#resetAtMs - nowMs)));
    const moreMs = Math.max(1, Math.min(rest.moreMs, Math.ceil(this.#moreAtMs - nowMs)));
    return {
      isAllowed: true,
      limit,
      remaining: this.#left + spare,
      resetMs,
      moreMs: Math.min(resetMs, moreMs),
      retryAfterMs: 0,
      wasReduced: false,
    };
  }
}
