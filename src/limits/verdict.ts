import type { Refusal } from "../core/problem.js";
import type { LimiterDecision } from "./guarded-store.js";
import { headerFields, type LimitFields, retryAfterSeconds } from "./header-fields.js";
import type { RateLimiter } from "./limiter.js";
import { COUNTS_UNAVAILABLE, quotaExceeded, REDUCED_CAPACITY, type TemporaryRefusal } from "./refusals.js";

/** What one limit said about a request. */
export class Verdict {
  /** Whether this refuses the request; a dry run never does. */
  readonly refuses: boolean;

  constructor(
    readonly limiter: RateLimiter,
    readonly key: string,
    readonly cost: number,
    readonly decision: LimiterDecision,
  ) {
    this.refuses = !decision.isAllowed && !limiter.config.dryRun;
  }

  get fields(): LimitFields {
    return this.limiter.fields;
  }

  /** Whether a taken cost is to be given back when something else refuses. */
  get hasTaken(): boolean {
    return this.decision.isAllowed && this.decision.isUnavailable !== true;
  }

  withDecision(decision: LimiterDecision): Verdict {
    return new Verdict(this.limiter, this.key, this.cost, decision);
  }
}

/** What the application sees of a limit. Times are seconds. */
export interface RateLimitState {
  /** The quota's name. */
  readonly name: string;
  readonly isAllowed: boolean;
  /** Units per window in force. */
  readonly limit: number;
  /** Units that would be admitted now. */
  readonly remaining: number;
  /** Until the whole quota is there again. */
  readonly reset: number;
  /** After which the same request is admitted; 0 when it was. */
  readonly retryAfter: number;
  /** Units that were charged beyond the quota and are not paid back yet; absent when there are none. */
  readonly debt?: number | undefined;
}

/** A decision as the application sees it. */
export function rateLimitState({ name, fields }: RateLimiter, decision: LimiterDecision): RateLimitState {
  const { debt } = decision;
  return {
    name,
    isAllowed: decision.isAllowed,
    limit: decision.limit,
    remaining: decision.remaining,
    reset: fields.resetSeconds(decision),
    retryAfter: decision.isAllowed ? 0 : retryAfterSeconds(decision),
    ...(debt === undefined || debt === 0 ? undefined : { debt }),
  };
}

/** What the limits of a request said, the tightest first. */
export class RateLimitOutcome {
  /** How to refuse the request, with `Retry-After`; `undefined` when it may go on. */
  readonly refusal: Refusal | undefined;

  /** @param verdicts at least one, the tightest first */
  constructor(readonly verdicts: readonly Verdict[]) {
    this.refusal = refusalOf(verdicts);
  }

  /** The state of the tightest limit. */
  get state(): RateLimitState | undefined {
    const tightest = this.verdicts[0];
    return tightest && rateLimitState(tightest.limiter, tightest.decision);
  }

  /**
   * The `RateLimit` header fields for the response, refused or not, as a flat list of names and
   * values. They are not among those of the refusal.
   */
  get headers(): readonly string[] {
    const { verdicts } = this;
    const only = verdicts.length === 1 ? verdicts[0] : undefined;
    if (only !== undefined) return only.decision.isUnavailable === true ? [] : only.fields.lines(only.decision);
    const areCounted = verdicts.every(({ decision }) => decision.isUnavailable !== true);
    return headerFields(areCounted ? verdicts : verdicts.filter(({ decision }) => decision.isUnavailable !== true));
  }
}

/** The outcome of several verdicts in any order. */
export function outcomeOf(verdicts: readonly Verdict[]): RateLimitOutcome {
  return new RateLimitOutcome(verdicts.length < 2 ? verdicts : verdicts.toSorted(byTightness));
}

/**
 * One outcome for what two steps of the pipeline said about a request; it refuses when either does.
 */
export function mergeOutcomes(first: RateLimitOutcome, second: RateLimitOutcome): RateLimitOutcome {
  return outcomeOf([...first.verdicts, ...second.verdicts]);
}

/** The least share left first; of equals, the one that takes longest to be whole again. */
function byTightness(a: Verdict, b: Verdict): number {
  const shares = a.decision.remaining / a.decision.limit - b.decision.remaining / b.decision.limit;
  return shares !== 0 ? shares : b.decision.resetMs - a.decision.resetMs;
}

function refusalOf(verdicts: readonly Verdict[]): Refusal | undefined {
  let first: Verdict | undefined;
  let retryAfter = 0;
  let refusing = 0;
  for (const verdict of verdicts) {
    if (!verdict.refuses) continue;
    first ??= verdict;
    refusing++;
    // Who waits as long as the slowest of them asks is admitted by all.
    retryAfter = Math.max(retryAfter, retryAfterSeconds(verdict.decision));
  }
  if (first === undefined) return undefined;
  const prepared = refusing === 1 ? preparedFor(first) : preparedForMany(verdicts.filter((verdict) => verdict.refuses));
  return prepared.after(retryAfter);
}

function preparedFor(verdict: Verdict): TemporaryRefusal {
  if (verdict.decision.isUnavailable === true) return COUNTS_UNAVAILABLE;
  return verdict.decision.wasReduced ? REDUCED_CAPACITY : verdict.limiter.quotaExceeded;
}

/** A quota that is used up says more than a reduction, and that more than a store that is gone. */
function preparedForMany(refusing: readonly Verdict[]): TemporaryRefusal {
  const exceeded = refusing.filter(({ decision }) => decision.isUnavailable !== true && !decision.wasReduced);
  if (exceeded.length > 0) return quotaExceeded(exceeded.map(({ limiter }) => limiter.name));
  return refusing.some(({ decision }) => decision.wasReduced) ? REDUCED_CAPACITY : COUNTS_UNAVAILABLE;
}
