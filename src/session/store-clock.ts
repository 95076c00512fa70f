import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";

/** So far the clock of a process may be from that of its store before somebody should know, in milliseconds. */
const TOLERATED_SKEW_MS = 5000;

/**
 * The clock by which sessions live and end: that of the store, where it has one.
 *
 * A process whose own clock is wrong would otherwise store sessions that are over already, and end those
 * that others have just begun.
 */
export class StoreClock implements Clock {
  readonly #now: (() => MaybePromise<number>) | undefined;
  readonly #clock: Clock;
  readonly #events: EventHub;
  #hasWarned = false;

  /** @param now the store's clock; `undefined` where it has none but that of this process */
  constructor(now: (() => MaybePromise<number>) | undefined, clock: Clock, events: EventHub) {
    this.#now = now;
    this.#clock = clock;
    this.#events = events;
  }

  /** The store's time; that of this process while the store has not told it. */
  wallMs(): number {
    if (this.#now === undefined) return this.#clock.wallMs();
    const now = this.#now();
    if (typeof now === "number") return this.#checked(now);
    // Who needs the store meets its failure and tells it.
    now.catch(() => {});
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  /** The store's time; a Promise only while it has not told it. Rejects when the store fails. */
  known(): MaybePromise<number> {
    if (this.#now === undefined) return this.#clock.wallMs();
    const now = this.#now();
    return typeof now === "number" ? this.#checked(now) : now.then((told) => this.#checked(told));
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
}
