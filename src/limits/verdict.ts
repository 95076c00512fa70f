import type { Refusal } from "../core/problem.js";
import { retryAfterSeconds } from "./header-fields.js";
import type { RateLimiter } from "./limiter.js";
import { COUNTS_UNAVAILABLE, quotaExceeded, REDUCED_CAPACITY, type TemporaryRefusal } from "./refusals.js";
import type { Decision } from "./store.js";

/** The decision on what was not asked for yet: it refuses nothing, and its figures say nothing. */
const NOT_ASKED: Decision = Object.freeze({
  isAllowed: true,
  limit: 0,
  remaining: 0,
  resetMs: 0,
  retryAfterMs: 0,
  wasReduced: false,
  isUnavailable: true,
});

/** One limit that applies to a request: what it counts, and what it decided. */
export class Verdict {
  decision: Decision = NOT_ASKED;
  /** Whether this refuses the request; a dry run never does. */
  refuses = false;
  /** Whether the quota was asked to take the cost, and has not got it back. */
  #hasAsked = false;

  constructor(
    readonly limiter: RateLimiter,
    readonly key: string,
    readonly cost: number,
  ) {}

  /** Takes the cost, if the quota has it. A promise only when a store must be waited for. */
  take(): Promise<void> | undefined {
    this.#hasAsked = true;
    const answer = this.limiter.counts.consume(this.key, this.cost);
    return answer instanceof Promise ? answer.then((decision) => this.#decide(decision)) : this.#decide(answer);
  }

  /** Asks what memory would decide now; a store is not asked. */
  peek(): void {
    const { counts } = this.limiter;
    if (counts.isLocal) this.#decide(counts.peek(this.key, this.cost));
  }

  /** Gives back what was taken, if anything was. */
  giveBack(): void {
    const { decision, key, cost } = this;
    if (!this.#hasAsked || !decision.isAllowed || decision.isUnavailable === true) return;
    this.#hasAsked = false;
    const { counts } = this.limiter;
    void counts.giveBack(key, cost, decision);
    if (counts.isLocal) this.peek();
    else this.decision = { ...decision, remaining: Math.min(decision.limit, decision.remaining + cost) };
  }

  #decide(decision: Decision): undefined {
    this.decision = decision;
    this.refuses = !decision.isAllowed && !this.limiter.config.dryRun;
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
export function rateLimitState({ name, fields }: RateLimiter, decision: Decision): RateLimitState {
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

/** What all limits of a request decided. */
export class LimitsVerdict {
  /** The tightest first. */
  readonly verdicts: readonly Verdict[];

  /** @param verdicts at least one, in any order */
  constructor(verdicts: readonly Verdict[]) {
    this.verdicts = verdicts.length === 1 ? verdicts : verdicts.toSorted(byTightness);
  }

  /** How to refuse the request, with `Retry-After`; `undefined` when it may go on. */
  get refusal(): Refusal | undefined {
    let seconds = 0;
    for (const verdict of this.verdicts) {
      // A client that waits as long as the slowest of them asks is admitted by all.
      if (verdict.refuses) seconds = Math.max(seconds, retryAfterSeconds(verdict.decision));
    }
    return seconds === 0 ? undefined : preparedFor(this.verdicts).after(seconds);
  }

  /** The state of the tightest limit. */
  get state(): RateLimitState | undefined {
    const tightest = this.verdicts[0];
    return tightest && rateLimitState(tightest.limiter, tightest.decision);
  }

  /** Together with what a later step of the pipeline decided; refuses when either does. */
  and(later: LimitsVerdict): LimitsVerdict {
    return new LimitsVerdict([...this.verdicts, ...later.verdicts]);
  }

  /**
   * Gives back all that was taken, for a request that something else refused.
   *
   * @returns what the limits say then
   */
  giveBack(): LimitsVerdict {
    for (const verdict of this.verdicts) verdict.giveBack();
    return new LimitsVerdict(this.verdicts);
  }

  /**
   * Gives back what limits of these names took, because others take their place.
   *
   * @returns what the other limits said; `undefined` when none is left
   */
  without(names: ReadonlySet<string> | "all"): LimitsVerdict | undefined {
    const rest: Verdict[] = [];
    for (const verdict of this.verdicts) {
      if (names === "all" || names.has(verdict.limiter.name)) verdict.giveBack();
      else rest.push(verdict);
    }
    return rest.length === 0 ? undefined : new LimitsVerdict(rest);
  }
}

/** The least share left first; of equals, the one that takes longest to be whole again. */
function byTightness(a: Verdict, b: Verdict): number {
  const shares = a.decision.remaining / a.decision.limit - b.decision.remaining / b.decision.limit;
  return shares !== 0 ? shares : b.decision.resetMs - a.decision.resetMs;
}

/** A quota that is used up says more than a reduction, and that more than a store that is gone. */
function preparedFor(verdicts: readonly Verdict[]): TemporaryRefusal {
  let first: RateLimiter | undefined;
  let several: readonly string[] | undefined;
  let isReduced = false;
  for (const { refuses, decision, limiter } of verdicts) {
    if (!refuses) continue;
    if (decision.wasReduced) isReduced = true;
    else if (decision.isUnavailable === true) continue;
    else if (first === undefined) first = limiter;
    else several = [...(several ?? [first.name]), limiter.name];
  }
  if (first !== undefined) return several === undefined ? first.quotaExceeded : quotaExceeded(several);
  return isReduced ? REDUCED_CAPACITY : COUNTS_UNAVAILABLE;
}
