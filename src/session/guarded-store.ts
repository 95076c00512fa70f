import type { Clock } from "../core/clock.js";
import { StoreUnavailableError } from "../core/errors.js";
import type { EventHub } from "../core/events.js";
import { andThen, isPromiseLike, type MaybePromise } from "../core/later.js";
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

/** So far the clock of a process may be from that of its store before somebody should know, in milliseconds. */
const TOLERATED_SKEW_MS = 5000;

/** Each attempt that fails means that another process was saved, so this is a number of simultaneous writers. */
const MAX_ATTEMPTS = 64;
const LONGEST_PAUSE_MS = 50;

/**
 * The application's store as the rest of this folder talks to it: whatever goes wrong there becomes a
 * `StoreUnavailableError`, and each change is told once, as `store.error` and `store.recovered`.
 *
 * It is also the clock by which its sessions live and end, where the store has one. A process whose own clock
 * is wrong would otherwise store sessions that are over already, and end those that others have just begun.
 */
export class GuardedSessionStore implements Clock {
  readonly isSynchronous: boolean;
  /** `undefined` where the store cannot list. */
  readonly list: ((userId: string) => MaybePromise<readonly ListedSession[]>) | undefined;
  readonly #store: SessionStore;
  readonly #guard: StoreGuard;
  readonly #clock: Clock;
  readonly #events: EventHub;
  #hasWarned = false;

  /** @param clock that of this process */
  constructor(store: SessionStore, clock: Clock, events: EventHub) {
    this.#store = store;
    this.#clock = clock;
    this.#events = events;
    this.isSynchronous = store.isSynchronous === true;
    this.#guard = new StoreGuard("session", "the session store failed", events);
    this.list =
      typeof store.list === "function" ? (userId) => this.#ask(() => store.list?.(userId), isSessionList) : undefined;
  }

  load(id: string): MaybePromise<SessionRecord | undefined> {
    return this.#ask(
      () => this.#store.load(id),
      (answer) => answer === undefined || isSessionRecord(answer),
    );
  }

  save(id: string, record: SessionRecord, expectedVersion: number): MaybePromise<SaveOutcome> {
    return this.#ask(() => this.#store.save(id, record, expectedVersion), isSaveOutcome);
  }

  touch(id: string, times: SessionTimes): MaybePromise<boolean> {
    return this.#ask(
      () => this.#store.touch(id, times),
      (answer) => typeof answer === "boolean",
    );
  }

  /** `delete` may answer anything: but for the id of a successor, only whether it failed counts. @returns that id */
  delete(id: string): MaybePromise<string | undefined> {
    return this.#guard.ask(
      this.#atOnce(() => this.#store.delete(id)),
      (answer) => (typeof answer === "string" ? answer : undefined),
    );
  }

  /** The store's time; that of this process where the store has none, or has not told it yet. */
  wallMs(): number {
    const now = this.known();
    if (typeof now === "number") return now;
    // Who needs the store meets its failure and tells it.
    now.catch(() => {});
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  /** The store's time; a promise only while it has not told it. Rejects when the store fails. */
  known(): MaybePromise<number> {
    if (typeof this.#store.now !== "function") return this.#clock.wallMs();
    const now = this.#store.now();
    // What it knows already says nothing of whether the store answers now.
    if (typeof now === "number") return this.#checked(now);
    return andThen(
      this.#ask(
        () => now,
        (answer): answer is number => Number.isFinite(answer),
      ),
      (told) => this.#checked(told),
    );
  }

  /**
   * Waits before another attempt to change a session that others change at the same time: not at first, and
   * then for a random time, since processes that were refused together would otherwise come again together.
   * Nobody can come in between where the store is in this process.
   *
   * @param attempt how many have failed
   * @param doing what is tried, for the message
   * @throws StoreUnavailableError when it has been tried often enough
   */
  pause(attempt: number, doing: string): MaybePromise<void> {
    if (attempt >= MAX_ATTEMPTS) {
      const message = `the session was changed by others during ${MAX_ATTEMPTS} attempts to ${doing} it`;
      this.#events.emit("store.error", { store: "session", message });
      throw new StoreUnavailableError(message);
    }
    if (attempt === 1 || this.isSynchronous) return undefined;
    const pauseMs = Math.random() * Math.min(LONGEST_PAUSE_MS, 2 ** attempt);
    return new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  #checked(storeMs: number): number {
    const skewMs = this.#clock.wallMs() - storeMs;
    if (!this.#hasWarned && Math.abs(skewMs) > TOLERATED_SKEW_MS) {
      this.#hasWarned = true;
      const seconds = Math.round(Math.abs(skewMs) / 1000);
      this.#events.emit("config.warning", {
        code: "CELLO_CLOCK_SKEW",
        message: `the clock of this process is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} that of the session store; sessions follow the store's, but tokens and certificates do not: keep NTP running`,
      });
    }
    return storeMs;
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
function isSaveOutcome(answer: unknown): answer is SaveOutcome {
  return answer === "saved" || answer === "conflict" || answer === "gone";
}
