import type { EventHub } from "../core/events.js";
import { isPromiseLike, type MaybePromise } from "../core/later.js";
import { StoreGuard } from "../core/store-guard.js";
import {
  isSessionList,
  isSessionRecord,
  type ListedSession,
  type SaveOutcome,
  type SessionRecord,
  type SessionStore,
  type SessionTimes,
} from "./store.js";

/**
 * The application's store as the rest of this folder talks to it: whatever goes wrong there becomes a
 * `StoreUnavailableError`, and each change is told once, as `store.error` and `store.recovered`.
 */
export class GuardedSessionStore {
  readonly isSynchronous: boolean;
  /** `undefined` where the time is that of this process. */
  readonly now: (() => MaybePromise<number>) | undefined;
  /** `undefined` where the store cannot list. */
  readonly list: ((userId: string) => MaybePromise<readonly ListedSession[]>) | undefined;
  readonly #store: SessionStore;
  readonly #guard: StoreGuard;

  constructor(store: SessionStore, events: EventHub) {
    this.#store = store;
    this.isSynchronous = store.isSynchronous === true;
    this.#guard = new StoreGuard("session", "the session store failed", events);
    this.now = typeof store.now === "function" ? () => this.#now() : undefined;
    this.list =
      typeof store.list === "function" ? (userId) => this.#ask(() => store.list?.(userId), isSessionList) : undefined;
  }

  load(id: string): MaybePromise<SessionRecord | undefined> {
    return this.#ask(() => this.#store.load(id), isRecordOrAbsent);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): MaybePromise<SaveOutcome> {
    return this.#ask(() => this.#store.save(id, record, expectedVersion), isSaveOutcome);
  }

  touch(id: string, times: SessionTimes): MaybePromise<boolean> {
    return this.#ask(() => this.#store.touch(id, times), isBoolean);
  }

  /** `delete` may answer anything: but for the id of a successor, only whether it failed counts. @returns that id */
  delete(id: string): MaybePromise<string | undefined> {
    return this.#guard.ask(
      this.#atOnce(() => this.#store.delete(id)),
      (answer) => (typeof answer === "string" ? answer : undefined),
    );
  }

  /** What it knows already says nothing of whether the store answers now. */
  #now(): MaybePromise<number> {
    const now = this.#store.now?.();
    return typeof now === "number" ? now : this.#ask(() => now, isFiniteNumber);
  }

  #ask<Value>(call: () => unknown, fits: (answer: unknown) => answer is Value): MaybePromise<Value> {
    return this.#guard.ask(this.#atOnce(call), (answer) => {
      if (!fits(answer)) throw new Error("it answered with something else than a store does");
      return answer;
    });
  }

  /** Holds a store to its word that it never answers with a promise. */
  #atOnce(call: () => unknown): () => unknown {
    if (!this.isSynchronous) return call;
    return () => {
      const answer = call();
      if (!isPromiseLike(answer)) return answer;
      // Nobody waits for it any more, so that its failure would end the process.
      Promise.resolve(answer).catch(() => {});
      throw new Error("it says isSynchronous and answered with a Promise");
    };
  }
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
