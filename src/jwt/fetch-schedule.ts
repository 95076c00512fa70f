import type { Clock } from "../core/clock.js";

/** The first wait after a failure; each further one is twice as long, up to the longest or the cool-down. */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/** Fetches for unknown keys that may come at once, before each has to wait for the cool-down. */
const BURST = 3;

/**
 * When a remote key set may be fetched again.
 *
 * After a failure soon, then less and less often: an endpoint that stumbles must not keep every user out
 * for the time that protects a healthy one. After a success, a key id that nobody knows is reason for a
 * fetch, three at once and then one in a cool-down: keys are rotated in at any moment, and tokens with
 * invented key ids must not make this server hammer the endpoint.
 */
export class FetchSchedule {
  readonly #clock: Clock;
  readonly #cooldownMs: number;
  #failures = 0;
  #retryMs = Number.NEGATIVE_INFINITY;
  /** When the fetches for unknown keys so far are paid for, each with a cool-down (GCRA). */
  #paidMs = Number.NEGATIVE_INFINITY;

  constructor(cooldownMs: number, clock: Clock) {
    this.#cooldownMs = cooldownMs;
    this.#clock = clock;
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** How long a client should wait for a fetch that may succeed, in whole seconds from 1. */
  get retryAfter(): number {
    return Math.max(1, Math.ceil((this.#retryMs - this.#clock.monotonicMs()) / 1000));
  }

  /** Whether a fetch may begin that is due anyhow: the first, or of a set that is old. */
  get mayFetch(): boolean {
    return this.#failures === 0 || this.#clock.monotonicMs() >= this.#retryMs;
  }

  /** Whether a fetch may begin for a key that is not in the set. Takes the permission. */
  takeForUnknownKey(): boolean {
    if (this.#failures > 0) return this.mayFetch;
    const now = this.#clock.monotonicMs();
    if (now < this.#paidMs - (BURST - 1) * this.#cooldownMs) return false;
    this.#paidMs = Math.max(now, this.#paidMs) + this.#cooldownMs;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(): void {
    const wait = Math.min(this.#cooldownMs, LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
    // Many processes that saw the same failure should not come back together, nor later than was said.
    this.#retryMs = this.#clock.monotonicMs() + wait * (1 - Math.random() / 2);
  }
}
