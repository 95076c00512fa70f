import { StoreUnavailableError } from "../core/errors.js";
import type { EventHub } from "../core/events.js";
import { andThen, type MaybePromise } from "../core/later.js";
import { StoreHealth } from "../core/store-health.js";
import {
  isSessionList,
  isSessionRecord,
  type ListedSession,
  type SafeSessionStore,
  type SaveOutcome,
  type SessionRecord,
  type SessionStore,
  type SessionTimes,
} from "./store.js";

/**
 * Stands before the application's store: whatever goes wrong there becomes a `StoreUnavailableError`,
 * and each change is told once, as `store.error` and `store.recovered`.
 */
export class StoreGuard implements SafeSessionStore {
  readonly isSynchronous: boolean;
  readonly now: (() => MaybePromise<number>) | undefined;
  readonly list: ((userId: string) => MaybePromise<readonly ListedSession[]>) | undefined;
  readonly #health: StoreHealth;

  constructor(
    readonly store: SessionStore,
    events: EventHub,
  ) {
    this.isSynchronous = store.isSynchronous === true;
    this.#health = new StoreHealth("session", events);
    this.now = typeof store.now === "function" ? () => this.#now() : undefined;
    this.list =
      typeof store.list === "function" ? (userId) => this.#guard(() => store.list?.(userId), isSessionList) : undefined;
  }

  load(id: string): MaybePromise<SessionRecord | undefined> {
    return this.#guard(() => this.store.load(id), isRecordOrAbsent);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): MaybePromise<SaveOutcome> {
    return this.#guard(() => this.store.save(id, record, expectedVersion), isSaveOutcome);
  }

  touch(id: string, times: SessionTimes): MaybePromise<boolean> {
    return this.#guard(() => this.store.touch(id, times), isBoolean);
  }

  delete(id: string): MaybePromise<string | undefined> {
    return andThen(
      this.#guard(() => this.store.delete(id), isAnything),
      (answer) => (typeof answer === "string" ? answer : undefined),
    );
  }

  /** What it knows already says nothing of whether the store answers now. */
  #now(): MaybePromise<number> {
    const now = this.store.now?.();
    return typeof now === "number" ? now : this.#guard(() => now, isFiniteNumber);
  }

  #guard<Value>(call: () => unknown, fits: (answer: unknown) => answer is Value): MaybePromise<Value> {
    let answer: unknown;
    try {
      answer = call();
    } catch (error) {
      return this.#fail(error);
    }
    if (!isPromiseLike(answer)) return this.#accept(answer, fits);
    if (this.isSynchronous) {
      // Nobody waits for it any more, so that its failure would end the process.
      Promise.resolve(answer).catch(() => {});
      return this.#fail(new Error("it says isSynchronous and answered with a Promise"));
    }
    return Promise.resolve(answer).then(
      (value) => this.#accept(value, fits),
      (error: unknown) => this.#fail(error),
    );
  }

  #accept<Value>(answer: unknown, fits: (answer: unknown) => answer is Value): Value {
    if (!fits(answer)) return this.#fail(new Error("it answered with something else than a store does"));
    this.#health.answered();
    return answer;
  }

  #fail(cause: unknown): never {
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#health.failed(cause);
    throw new StoreUnavailableError(`the session store failed: ${message}`, { cause });
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function isRecordOrAbsent(answer: unknown): answer is SessionRecord | undefined {
  return answer === undefined || isSessionRecord(answer);
}

function isSaveOutcome(answer: unknown): answer is SaveOutcome {
  return answer === "saved" || answer === "conflict" || answer === "gone";
}

function isBoolean(answer: unknown): answer is boolean {
  return typeof answer === "boolean";
}

function isFiniteNumber(answer: unknown): answer is number {
  return typeof answer === "number" && Number.isFinite(answer);
}

/** `delete` may answer anything: but for the id of a successor, only whether it failed counts. */
function isAnything(_answer: unknown): _answer is unknown {
  return true;
}
