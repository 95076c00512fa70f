import { serializeItem } from "structured-headers";
import type { RateLimitConfig } from "./config.js";
import type { RateLimitDecision } from "./store.js";

/**
 * The header fields of one limit (draft-ietf-httpapi-ratelimit-headers-11): what does not change from
 * request to request is text that is ready.
 */
export class LimitFields {
  readonly isStandard: boolean;
  readonly isLegacy: boolean;
  readonly #name: string;
  readonly #windowSeconds: number;
  readonly #windowParameter: string;
  #policy: string;
  #policyLimit: number;
  #lines: readonly string[] = [];
  #linesLimit = -1;
  #linesRemaining = -1;
  #linesMore = -1;
  #linesReset = -1;

  constructor(config: RateLimitConfig) {
    this.isStandard = config.headers === "standard" || config.headers === "both";
    this.isLegacy = config.headers === "legacy" || config.headers === "both";
    this.#name = serializeItem(config.name);
    // The draft knows whole seconds only; a client that waits longer than it must does no harm.
    this.#windowSeconds = Math.ceil(config.window);
    this.#windowParameter = `;w=${this.#windowSeconds}`;
    this.#policyLimit = config.requests;
    this.#policy = this.#policyText(config.requests);
  }

  /** The member of `RateLimit-Policy`: `"default";q=100;w=60`. */
  policy(limit: number): string {
    if (limit !== this.#policyLimit) {
      this.#policyLimit = limit;
      this.#policy = this.#policyText(limit);
    }
    return this.#policy;
  }

  /** The member of `RateLimit`: `"default";r=99;t=1`. */
  state(decision: RateLimitDecision): string {
    return `${this.#name};r=${decision.remaining};t=${this.#moreSeconds(decision)}`;
  }

  /** Seconds until the whole quota is there again: never more than the window that clients are told. */
  resetSeconds({ resetMs }: RateLimitDecision): number {
    return Math.min(wholeSeconds(resetMs), this.#windowSeconds);
  }

  /**
   * The fields when this limit alone looked at a request, as a flat list of names and values.
   *
   * The last list is kept: in a flood of refused requests one answer is like the other, for as long as
   * the seconds are the same.
   */
  lines(decision: RateLimitDecision): readonly string[] {
    const { limit, remaining } = decision;
    const more = this.#moreSeconds(decision);
    const reset = this.isLegacy ? this.resetSeconds(decision) : -1;
    if (
      remaining === this.#linesRemaining &&
      more === this.#linesMore &&
      reset === this.#linesReset &&
      limit === this.#linesLimit
    ) {
      return this.#lines;
    }
    this.#linesLimit = limit;
    this.#linesRemaining = remaining;
    this.#linesMore = more;
    this.#linesReset = reset;
    const list = this.isStandard
      ? ["RateLimit-Policy", this.policy(limit), "RateLimit", `${this.#name};r=${remaining};t=${more}`]
      : [];
    if (this.isLegacy) pushLegacy(list, decision, reset);
    // Responses share it.
    this.#lines = Object.freeze(list);
    return list;
  }

  /**
   * Seconds until more of the quota comes (`t`, as draft 10 and later define it). Whoever was refused
   * gets no later moment there than in `Retry-After`.
   */
  #moreSeconds(decision: RateLimitDecision): number {
    const seconds = Math.min(wholeSeconds(decision.moreMs ?? decision.resetMs), this.#windowSeconds);
    return decision.isAllowed ? seconds : Math.min(seconds, retryAfterSeconds(decision));
  }

  #policyText(limit: number): string {
    return `${this.#name};q=${limit}${this.#windowParameter}`;
  }
}

/** What a limit said about a request. */
export interface LimitVerdict {
  readonly fields: LimitFields;
  readonly decision: RateLimitDecision;
}

/**
 * The header fields of the limits that looked at a request, as a flat list of names and values.
 *
 * @param verdicts the tightest first; the old fields know one limit only and tell of that
 */
export function headerFields(verdicts: readonly LimitVerdict[]): readonly string[] {
  let policies = "";
  let states = "";
  let legacy: LimitVerdict | undefined;
  for (const verdict of verdicts) {
    const { fields, decision } = verdict;
    if (fields.isStandard) {
      const separator = policies === "" ? "" : ", ";
      policies += separator + fields.policy(decision.limit);
      states += separator + fields.state(decision);
    }
    if (fields.isLegacy) legacy ??= verdict;
  }
  const list = policies === "" ? [] : ["RateLimit-Policy", policies, "RateLimit", states];
  if (legacy !== undefined) pushLegacy(list, legacy.decision, legacy.fields.resetSeconds(legacy.decision));
  return list;
}

/** @param reset seconds until the whole quota is there again: that is what these names have always meant */
function pushLegacy(list: string[], decision: RateLimitDecision, reset: number): void {
  list.push(
    "X-RateLimit-Limit",
    String(decision.limit),
    "X-RateLimit-Remaining",
    String(decision.remaining),
    "X-RateLimit-Reset",
    String(reset),
  );
}

/** Whole seconds, rounded up. */
export function wholeSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}

/** `Retry-After` in whole seconds: at least one, because 0 asks for the same refusal again. */
export function retryAfterSeconds(decision: RateLimitDecision): number {
  return Math.max(1, wholeSeconds(decision.retryAfterMs));
}
