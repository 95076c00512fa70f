import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { StoreGuard } from "../core/store-guard.js";
import type { OnStoreError } from "./config.js";
import { RETRY_AFTER_MS, StandIn } from "./stand-in.js";
import type { Counts, Decision, RateLimitDecision, RateLimitPolicy, RateLimitStore } from "./store.js";

const guards = new WeakMap<EventHub, WeakMap<RateLimitStore, StoreGuard>>();

/** One for all limits of a store, so that an outage is told once and not once per limit. */
function guardOf(store: RateLimitStore, { events, clock }: GuardParts): StoreGuard {
  const ofHub = guards.get(events) ?? new WeakMap<RateLimitStore, StoreGuard>();
  guards.set(events, ofHub);
  const guard = ofHub.get(store) ?? new StoreGuard("rate-limit", "the rate limit store failed", events, clock);
  ofHub.set(store, guard);
  return guard;
}

/** What a store is guarded with. */
interface GuardParts {
  readonly onError: OnStoreError;
  readonly events: EventHub;
  readonly clock: Clock;
}

type Asked = "consume" | "charge" | "peek";

/**
 * One limit in a user's store. Never throws and never rejects: while the store fails, its answer is
 * what `onStoreError` says.
 *
 * With "local" this process counts in memory, and grants its share: the quota divided by the number
 * of processes that the store knew last, and what is left over to as many of them, for each key to others.
 * Those counts are dropped a window after they were last used, when they say nothing any more: a store that
 * fails for every other request must not be granted a new share by each answer in between.
 */
export class GuardedStore implements Counts {
  readonly isLocal = false;
  readonly #store: RateLimitStore;
  readonly #policy: RateLimitPolicy;
  readonly #onError: OnStoreError;
  readonly #clock: Clock;
  readonly #guard: StoreGuard;
  #standIn: StandIn | undefined;
  #standInUsedAtMs = 0;

  constructor(store: RateLimitStore, policy: RateLimitPolicy, parts: GuardParts) {
    this.#store = store;
    this.#policy = policy;
    this.#onError = parts.onError;
    this.#clock = parts.clock;
    this.#guard = guardOf(store, parts);
  }

  consume(key: string, cost: number): MaybePromise<Decision> {
    return this.#ask("consume", key, cost);
  }

  /**
   * Takes into debt.
   *
   * @throws TypeError when the store has no `charge`
   */
  charge(key: string, cost: number): MaybePromise<Decision> {
    if (typeof this.#store.charge !== "function") {
      throw new TypeError(
        `the store of the limit "${this.#policy.name}" has no method charge, so nothing can be consumed into debt`,
      );
    }
    return this.#ask("charge", key, cost);
  }

  peek(key: string, cost: number): MaybePromise<Decision> {
    return this.#ask("peek", key, cost);
  }

  /** Gives back to where it was taken: what this process granted during an outage was never taken from the store. */
  giveBack(key: string, cost: number, taken: Decision): MaybePromise<unknown> {
    if (taken.isLocal === true) return this.#standIn?.countsOf(key).giveBack(key, cost);
    return this.#ask("consume", key, -cost, taken);
  }

  reset(key: string): MaybePromise<void> {
    this.#standIn?.countsOf(key).reset(key);
    return this.#store.reset(this.#policy, key);
  }

  /** @param otherwise the answer while the store fails, instead of what `onStoreError` says */
  #ask(method: Asked, key: string, cost: number, otherwise?: Decision): MaybePromise<Decision> {
    return this.#guard.ask(
      () => this.#store[method]?.(this.#policy, key, cost),
      this.#accept,
      () => otherwise ?? this.#standInAnswer(method, key, cost),
    );
  }

  readonly #accept = (answer: RateLimitDecision | undefined): Decision => {
    if (!isDecision(answer)) throw new TypeError("the rate limit store's answer is no decision");
    if (this.#standIn !== undefined) this.#forgetStandIn();
    return inOrder(answer);
  };

  #standInAnswer(method: Asked, key: string, cost: number): Decision {
    if (this.#onError === "local") return { ...this.#local().countsOf(key)[method](key, cost), isLocal: true };
    const isAllowed = this.#onError === "allow";
    const limit = Math.floor(this.#policy.requestsInForce);
    const waitMs = isAllowed ? 0 : RETRY_AFTER_MS;
    return {
      isAllowed,
      limit,
      remaining: isAllowed ? limit : 0,
      resetMs: waitMs,
      moreMs: waitMs,
      retryAfterMs: waitMs,
      wasReduced: false,
      isUnavailable: true,
    };
  }

  /** The counts of this process; made anew when more processes share the quota than before. */
  #local(): StandIn {
    this.#standInUsedAtMs = this.#clock.monotonicMs();
    const processes = processesOf(this.#store);
    if (this.#standIn === undefined || processes > this.#standIn.processes) {
      this.#standIn = new StandIn(this.#policy, { processes, rank: this.#store.rank }, this.#clock);
    }
    return this.#standIn;
  }

  #forgetStandIn(): void {
    if (this.#clock.monotonicMs() - this.#standInUsedAtMs >= this.#policy.windowMs) this.#standIn = undefined;
  }
}

/** A store that does not know counts as that of one process. */
function processesOf({ processes }: RateLimitStore): number {
  return processes !== undefined && processes > 1 ? Math.floor(processes) : 1;
}

/** The most that a header field can say (RFC 9651 section 3.3.1). */
const MOST = 999_999_999_999_999;

/** What a store answers as it can stand in header fields: a bucket of its own may count in fractions. */
function inOrder(answer: RateLimitDecision): RateLimitDecision {
  const { limit, remaining, resetMs, moreMs = resetMs, retryAfterMs } = answer;
  const isWhole = Number.isInteger(limit) && Number.isInteger(remaining);
  const least = Math.min(limit, remaining, resetMs, moreMs, retryAfterMs);
  const most = Math.max(limit, remaining, resetMs, moreMs, retryAfterMs);
  if (isWhole && least >= 0 && most <= MOST) return answer;
  const bounded = (figure: number) => Math.min(MOST, Math.max(0, figure));
  return {
    ...answer,
    limit: Math.floor(bounded(limit)),
    remaining: Math.floor(bounded(remaining)),
    resetMs: bounded(resetMs),
    moreMs: bounded(moreMs),
    retryAfterMs: bounded(retryAfterMs),
  };
}

/** A user's store may be plain JavaScript: an answer that is no decision must not open the door. */
function isDecision(answer: RateLimitDecision | undefined): answer is RateLimitDecision {
  return (
    typeof answer?.isAllowed === "boolean" &&
    Number.isFinite(answer.limit) &&
    Number.isFinite(answer.remaining) &&
    Number.isFinite(answer.resetMs) &&
    Number.isFinite(answer.moreMs ?? 0) &&
    Number.isFinite(answer.retryAfterMs)
  );
}
