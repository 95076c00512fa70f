import type { Clock } from "../../core/clock.js";
import type { MemoryCounts, RateLimitDecision, RateLimitPolicy } from "../store.js";
import { keyHasher } from "./key-hash.js";
import { KeyTable } from "./key-table.js";
import { Ticks } from "./ticks.js";

/** A window in units must stay so small that sums of times are exact in a double. */
export const MOST_WINDOW_UNITS = 2 ** 50;
/** Times are moved back to the origin before they get here. */
const MOST_UNITS = 2 ** 52;

/**
 * A token bucket for each key: room for `requests` tokens, refilled evenly at `requests` a window.
 *
 * A bucket is one number, the time at which it is full again (GCRA's "theoretical arrival time"):
 * taking a token moves it by one token's worth of time, and it may lie at most a window ahead. Time
 * is counted in units of a tick divided by `requests`, so that a token is a whole number of them and
 * nothing is ever rounded.
 */
export class TokenBuckets implements MemoryCounts {
  readonly isLocal = true;
  readonly #table: KeyTable;
  readonly #time: Ticks;
  readonly #requests: number;
  /** One window in units: the time that an empty bucket takes to fill. */
  readonly #window: number;
  /** One token in units. */
  readonly #token: number;

  constructor(policy: RateLimitPolicy, clock: Clock) {
    this.#requests = policy.requests;
    this.#time = new Ticks(clock, policy.windowMs, MOST_WINDOW_UNITS / policy.requests);
    this.#token = this.#time.fromMs(policy.windowMs);
    this.#window = this.#token * policy.requests;
    // Whoever owes more than this lacks a whole token.
    const mostWithToken = this.#window - this.#token;
    this.#table = new KeyTable(1, policy.maxKeys, {
      useOf: (index, now) => (this.#table.at(index) - now) / (mostWithToken + 1),
    });
  }

  get byteLength(): number {
    return this.#table.byteLength;
  }

  consume(key: string, cost: number): RateLimitDecision {
    const table = this.#table;
    const now = this.#now();
    keyHasher.hash(key);
    let index = table.locate(keyHasher.high, keyHasher.low);
    const fullAt = index === -1 ? 0 : table.at(index);
    const debt = fullAt > now ? fullAt - now : 0;
    if (cost === 0) return this.#decision(debt, 0);
    const after = debt + cost * this.#token;
    if (after > this.#window) return this.#refuse(debt, after, cost);
    // The table counts a key among the live ones by a time other than 0: that one has its place.
    if (fullAt === 0) index = table.claim(keyHasher.high, keyHasher.low, now);
    table.times[index] = now + after;
    return this.#decision(after, 0);
  }

  charge(key: string, cost: number): RateLimitDecision {
    const table = this.#table;
    const now = this.#now();
    const debt = this.#debt(key, now);
    if (cost === 0) return this.#decision(debt, 0);
    const wanted = debt + cost * this.#token;
    const after = Math.min(wanted, 2 * this.#window);
    const { high, low } = keyHasher;
    const index = debt > 0 ? table.locate(high, low) : table.claim(high, low, now);
    table.times[index] = now + after;
    return wanted > this.#window ? this.#refuse(after, after + this.#token, 1) : this.#decision(after, 0);
  }

  peek(key: string, cost: number): RateLimitDecision {
    const debt = this.#debt(key, this.#now());
    const after = debt + cost * this.#token;
    return after > this.#window && cost > 0 ? this.#refuse(debt, after, cost) : this.#decision(debt, 0);
  }

  giveBack(key: string, cost: number): void {
    const now = this.#now();
    const debt = this.#debt(key, now);
    if (debt === 0) return;
    const index = this.#table.locate(keyHasher.high, keyHasher.low);
    const left = debt - cost * this.#token;
    if (left > 0) this.#table.times[index] = now + left;
    else this.#table.release(index);
  }

  reset(key: string): void {
    keyHasher.hash(key);
    const index = this.#table.locate(keyHasher.high, keyHasher.low);
    if (index !== -1) this.#table.release(index);
  }

  /** How far the key's bucket is from full, in units. */
  #debt(key: string, now: number): number {
    keyHasher.hash(key);
    const index = this.#table.locate(keyHasher.high, keyHasher.low);
    const fullAt = index === -1 ? 0 : this.#table.at(index);
    return fullAt > now ? fullAt - now : 0;
  }

  #refuse(debt: number, after: number, cost: number): RateLimitDecision {
    // What costs more than a full bucket is never admitted; a window is as good an answer as any.
    const wait = cost > this.#requests ? Math.max(this.#window, debt) : after - this.#window;
    const refused = this.#decision(debt, wait);
    return debt <= this.#window ? refused : { ...refused, debt: Math.ceil((debt - this.#window) / this.#token) };
  }

  /**
   * The decision on a key whose bucket is `debt` units from full.
   *
   * @param wait units until the same request is admitted; 0 when it was
   */
  #decision(debt: number, wait: number): RateLimitDecision {
    const remaining = Math.max(0, Math.floor((this.#window - debt) / this.#token));
    const untilNext = debt + (remaining + 1) * this.#token - this.#window;
    return {
      isAllowed: wait === 0,
      limit: this.#requests,
      remaining,
      resetMs: this.#wholeMs(debt),
      moreMs: debt === 0 ? 0 : this.#wholeMs(untilNext),
      retryAfterMs: wait === 0 ? 0 : this.#wholeMs(wait),
      wasReduced: false,
    };
  }

  /** Units in whole ticks and these in whole milliseconds, both rounded up. */
  #wholeMs(units: number): number {
    return Math.ceil(Math.ceil(units / this.#requests) / this.#time.perMs);
  }

  /** The time in units. */
  #now(): number {
    const time = this.#time;
    time.read();
    const now = time.now * this.#requests;
    if (now <= MOST_UNITS) return now;
    const ticks = time.now;
    time.rebase(ticks);
    this.#table.shift(ticks * this.#requests);
    return 0;
  }
}
