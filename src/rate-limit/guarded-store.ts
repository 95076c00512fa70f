import type { EventHub } from "../events.js";
import type { OnStoreError } from "./config.js";
import type { KeyedLimit, MaybePromise, RateLimitDecision, RateLimitPolicy, RateLimitStore } from "./store.js";

/** A store's decision, or what stands in for it. */
export interface LimiterDecision extends RateLimitDecision {
  /** The store did not answer and nobody counted: the figures say nothing. */
  readonly isUnavailable?: boolean;
}

/** Seconds are all that `Retry-After` can say; a store that comes back is used at once. */
const RETRY_AFTER_MS = 1000;

/** Whether a store answers, told once per change of state and not once per limit. */
class StoreHealth {
  #isDown = false;

  constructor(readonly events: EventHub) {}

  failed(error: unknown): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const message = error instanceof Error ? error.message : String(error);
    this.events.emit("store.error", { store: "rate-limit", message });
  }

  answered(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.events.emit("store.recovered", { store: "rate-limit" });
  }
}

const healths = new WeakMap<EventHub, WeakMap<RateLimitStore, StoreHealth>>();

function healthOf(events: EventHub, store: RateLimitStore): StoreHealth {
  const ofHub = healths.get(events) ?? new WeakMap<RateLimitStore, StoreHealth>();
  healths.set(events, ofHub);
  const health = ofHub.get(store) ?? new StoreHealth(events);
  ofHub.set(store, health);
  return health;
}

/**
 * One limit in a user's store. Never throws and never rejects: while the store fails, its answer is
 * what `onStoreError` says.
 */
export class GuardedStore {
  readonly #store: RateLimitStore;
  readonly #policy: RateLimitPolicy;
  readonly #onError: OnStoreError;
  readonly #makeLocal: () => KeyedLimit;
  readonly #health: StoreHealth;
  /** Counts here while the store does not. */
  #local: KeyedLimit | undefined;

  constructor(
    store: RateLimitStore,
    policy: RateLimitPolicy,
    options: { readonly onError: OnStoreError; readonly events: EventHub; readonly makeLocal: () => KeyedLimit },
  ) {
    this.#store = store;
    this.#policy = policy;
    this.#onError = options.onError;
    this.#makeLocal = options.makeLocal;
    this.#health = healthOf(options.events, store);
  }

  consume(key: string, cost: number): MaybePromise<LimiterDecision> {
    return this.#ask(
      () => this.#store.consume(this.#policy, key, cost),
      () => this.#standIn((local) => local.consume(key, cost)),
    );
  }

  peek(key: string, cost: number): MaybePromise<LimiterDecision> {
    return this.#ask(
      () => this.#store.peek(this.#policy, key, cost),
      () => this.#standIn((local) => local.peek(key, cost)),
    );
  }

  giveBack(key: string, cost: number): MaybePromise<unknown> {
    return this.#ask(
      () => this.#store.consume(this.#policy, key, -cost),
      () =>
        this.#standIn((local) => {
          local.giveBack(key, cost);
          return local.peek(key, 0);
        }),
    );
  }

  /** Forgets a key; rejects when the store does, because the caller is the application. */
  reset(key: string): MaybePromise<void> {
    this.#local?.reset(key);
    return this.#store.reset(this.#policy, key);
  }

  #ask(call: () => MaybePromise<RateLimitDecision>, standIn: () => LimiterDecision): MaybePromise<LimiterDecision> {
    const failed = (error: unknown): LimiterDecision => {
      this.#health.failed(error);
      return standIn();
    };
    const answered = (answer: RateLimitDecision): LimiterDecision => {
      if (!isDecision(answer)) return failed(new TypeError("the rate limit store's answer is no decision"));
      this.#health.answered();
      return answer;
    };
    try {
      const answer = call();
      return answer instanceof Promise ? answer.then(answered, failed) : answered(answer);
    } catch (error) {
      return failed(error);
    }
  }

  #standIn(count: (local: KeyedLimit) => RateLimitDecision): LimiterDecision {
    if (this.#onError === "local") {
      this.#local ??= this.#makeLocal();
      return count(this.#local);
    }
    const isAllowed = this.#onError === "allow";
    const limit = Math.floor(this.#policy.requestsInForce);
    return {
      isAllowed,
      limit,
      remaining: isAllowed ? limit : 0,
      resetMs: isAllowed ? 0 : RETRY_AFTER_MS,
      retryAfterMs: isAllowed ? 0 : RETRY_AFTER_MS,
      wasReduced: false,
      isUnavailable: true,
    };
  }
}

/** A user's store may be plain JavaScript: an answer that is no decision must not open the door. */
function isDecision(answer: RateLimitDecision | undefined): boolean {
  return (
    typeof answer?.isAllowed === "boolean" &&
    Number.isFinite(answer.limit) &&
    Number.isFinite(answer.remaining) &&
    Number.isFinite(answer.resetMs) &&
    Number.isFinite(answer.retryAfterMs)
  );
}
