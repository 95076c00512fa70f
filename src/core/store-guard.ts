import { type Clock, systemClock } from "./clock.js";
import { StoreUnavailableError } from "./errors.js";
import type { EventHub, SecurityEvents, StoreErrorCause } from "./events.js";
import { isPromiseLike, type MaybePromise } from "./later.js";

/** A store that fails again so soon after it recovered is not well yet, in milliseconds. */
const RELAPSE_MS = 5000;
/** How long such a store must be without failure before it counts as recovered, in milliseconds. */
const QUIET_MS = 1000;

/**
 * Stands before a store: whatever goes wrong there becomes one kind of failure, and each change between
 * answering and failing is told once, as `store.error` and `store.recovered`.
 *
 * The first answer after a failure is a recovery. Where failures and answers alternate (one node of a
 * Cluster is down, or answers take as long as the deadline) the store counts as down until none has
 * failed for a second: else each request would be told.
 */
export class StoreGuard {
  readonly #kind: SecurityEvents["store.error"]["store"];
  readonly #complaint: string;
  readonly #events: EventHub;
  readonly #clock: Clock;
  #isDown = false;
  #failedAtMs = 0;
  #recoveredAtMs = Number.NEGATIVE_INFINITY;
  #isRelapse = false;

  /** @param complaint the beginning of the message of a `StoreUnavailableError` */
  constructor(
    kind: SecurityEvents["store.error"]["store"],
    complaint: string,
    events: EventHub,
    clock: Clock = systemClock,
  ) {
    this.#kind = kind;
    this.#complaint = complaint;
    this.#events = events;
    this.#clock = clock;
  }

  /**
   * Asks the store.
   *
   * @param accept makes the answer what is needed; throws for what is none, as a store in plain JavaScript may give
   * @param instead what to answer when the store fails; by default that is thrown
   * @throws StoreUnavailableError, or rejects with it
   */
  ask<Answer, Value>(
    call: () => Answer | PromiseLike<Answer>,
    accept: (answer: Answer) => Value,
    instead: (cause: unknown) => Value = (cause) => this.#raise(cause),
  ): MaybePromise<Value> {
    const fail = (cause: unknown): Value => {
      this.failed(cause);
      return instead(cause);
    };
    const pass = (answer: Answer): Value => {
      let value: Value;
      try {
        value = accept(answer);
      } catch (error) {
        return fail(error);
      }
      this.answered();
      return value;
    };
    let answer: Answer | PromiseLike<Answer>;
    try {
      answer = call();
    } catch (error) {
      return fail(error);
    }
    return isPromiseLike(answer) ? Promise.resolve(answer).then(pass, fail) : pass(answer);
  }

  failed(error: unknown, cause = causeOf(error)): void {
    const now = this.#clock.monotonicMs();
    this.#failedAtMs = now;
    if (this.#isDown) return;
    this.#isDown = true;
    this.#isRelapse = now - this.#recoveredAtMs < RELAPSE_MS;
    const message = messageOf(error);
    this.#events.emit("store.error", { store: this.#kind, message, ...(cause === undefined ? {} : { cause }) });
  }

  answered(): void {
    if (!this.#isDown) return;
    const now = this.#clock.monotonicMs();
    if (this.#isRelapse && now - this.#failedAtMs < QUIET_MS) return;
    this.#isDown = false;
    this.#recoveredAtMs = now;
    this.#events.emit("store.recovered", { store: this.#kind });
  }

  #raise(cause: unknown): never {
    throw new StoreUnavailableError(`${this.#complaint}: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const CAUSES: readonly StoreErrorCause[] = ["deadline", "busy", "connection", "refused"];

/** What a store's error says about itself in `storeCause`; an answer of Redis that is an error is a refusal. */
export function causeOf(error: unknown): StoreErrorCause | undefined {
  if (!(error instanceof Error)) return undefined;
  const said: unknown = "storeCause" in error ? error.storeCause : undefined;
  return CAUSES.find((cause) => cause === said) ?? (error.name === "ReplyError" ? "refused" : undefined);
}
