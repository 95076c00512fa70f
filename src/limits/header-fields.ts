import { serializeItem } from "structured-headers";
import type { RateLimitConfig } from "./config.js";
import type { Decision, RateLimitDecision } from "./store.js";

/**
 * The header fields of one limit (draft-ietf-httpapi-ratelimit-headers-11): what does not change from
 * request to request is text that is ready.
 */
export class LimitFields {
  readonly isStandard: boolean;
  readonly isLegacy: boolean;
  readonly #name: string;
  readonly #windowSeconds: number;
  /** The last member of `RateLimit-Policy`, and the limit that it tells. */
  #policy = "";
  #policyLimit = -1;
  /** The last member of `RateLimit`, and what it tells: a flood of refused requests is told the same. */
  #state = "";
  #stateRemaining = -1;
  #stateSeconds = -1;

  constructor({ name, headers, window }: RateLimitConfig) {
    this.isStandard = headers === "standard" || headers === "both";
    this.isLegacy = headers === "legacy" || headers === "both";
    this.#name = serializeItem(name);
    // The draft knows whole seconds only; a client that waits longer than it must does no harm.
    this.#windowSeconds = Math.ceil(window);
  }

  /** The member of `RateLimit-Policy`: `"default";q=100;w=60`. */
  policy(limit: number): string {
    if (limit !== this.#policyLimit) {
      this.#policyLimit = limit;
      this.#policy = `${this.#name};q=${limit};w=${this.#windowSeconds}`;
    }
    return this.#policy;
  }

  /**
   * The member of `RateLimit`: `"default";r=99;t=1`. `t` is when more of the quota comes, as draft 10 and
   * later define it; a client that was refused is told no later moment there than in `Retry-After`.
   */
  state(decision: RateLimitDecision): string {
    const more = Math.min(Math.ceil((decision.moreMs ?? decision.resetMs) / 1000), this.#windowSeconds);
    const seconds = decision.isAllowed ? more : Math.min(more, retryAfterSeconds(decision));
    if (decision.remaining !== this.#stateRemaining || seconds !== this.#stateSeconds) {
      this.#stateRemaining = decision.remaining;
      this.#stateSeconds = seconds;
      this.#state = `${this.#name};r=${decision.remaining};t=${seconds}`;
    }
    return this.#state;
  }

  /** Seconds until the whole quota is there again: never more than the window that clients are told. */
  resetSeconds({ resetMs }: RateLimitDecision): number {
    return Math.min(Math.ceil(resetMs / 1000), this.#windowSeconds);
  }
}

/** What a limit says about a request, as far as its header fields tell it. */
interface Told {
  readonly limiter: { readonly fields: LimitFields };
  readonly decision: Decision;
}

/**
 * Appends the header fields of the limits that looked at a request, refused or not, as names and values in turn. A
 * limit whose store did not count has none.
 *
 * @param verdicts the tightest first; the old fields know one limit only and tell of that
 */
export function appendLimitFields(head: unknown[], verdicts: readonly Told[]): void {
  let policies = "";
  let states = "";
  let legacy: Told | undefined;
  for (const verdict of verdicts) {
    const { limiter, decision } = verdict;
    const { fields } = limiter;
    if (decision.isUnavailable === true) continue;
    if (fields.isStandard) {
      const separator = policies === "" ? "" : ", ";
      policies += separator + fields.policy(decision.limit);
      states += separator + fields.state(decision);
    }
    if (fields.isLegacy) legacy ??= verdict;
  }
  if (policies !== "") head.push("RateLimit-Policy", policies, "RateLimit", states);
  if (legacy === undefined) return;
  const { limiter, decision } = legacy;
  // These names have always meant the time until the whole quota is there again.
  const reset = String(limiter.fields.resetSeconds(decision));
  const [limit, remaining] = [String(decision.limit), String(decision.remaining)];
  head.push("X-RateLimit-Limit", limit, "X-RateLimit-Remaining", remaining, "X-RateLimit-Reset", reset);
}

/** `Retry-After` in whole seconds: at least one, because 0 asks for the same refusal again. */
export function retryAfterSeconds(decision: RateLimitDecision): number {
  return Math.max(1, Math.ceil(decision.retryAfterMs / 1000));
}
