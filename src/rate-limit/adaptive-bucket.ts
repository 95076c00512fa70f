import type { Clock } from "../clock.js";
import { keyHasher } from "./key-hash.js";
import { KeyTable } from "./key-table.js";
import type { KeyedLimit, RateLimitDecision, RateLimitPolicy } from "./store.js";
import { Ticks } from "./ticks.js";

const MOST_WINDOW_UNITS = 2 ** 50;
const MOST_UNITS = 2 ** 52;

/**
 * A token bucket for each key whose size and refill follow the limit in force.
 *
 * A bucket is the time at which it is full again, as in the plain token bucket. An empty one fills in
 * a window whatever the limit is; a lower limit makes each token cost more of that time. A change of
 * the limit therefore keeps how full each bucket is, and touches none of them.
 *
 * A second time beside it is that of the bucket as the unreduced limit would have it by now, had it
 * been in force all along. It tells whether the reduction alone refused a request.
 */
export class AdaptiveBuckets implements KeyedLimit {
  readonly #policy: RateLimitPolicy;
  readonly #table: KeyTable;
  readonly #time: Ticks;
  readonly #window: number;
  /** One token of the unreduced limit in units. */
  readonly #baseToken: number;

  constructor(policy: RateLimitPolicy, clock: Clock) {
    this.#policy = policy;
    this.#time = new Ticks(clock, policy.windowMs, MOST_WINDOW_UNITS / policy.requests);
    this.#baseToken = this.#time.fromMs(policy.windowMs);
    this.#window = this.#baseToken * policy.requests;
    this.#table = new KeyTable(2, policy.maxKeys);
  }

  get byteLength(): number {
    return this.#table.byteLength;
  }

  consume(key: string, cost: number): RateLimitDecision {
    return this.#decide(key, cost, true);
  }

  peek(key: string, cost: number): RateLimitDecision {
    return this.#decide(key, cost, false);
  }

  giveBack(key: string, cost: number): void {
    const now = this.#now();
    const index = this.#locate(key);
    if (index === -1) return;
    const { lanes } = this.#table;
    lanes[index] = Math.max(0, (lanes[index] ?? 0) - this.#price(cost));
    lanes[index + 1] = Math.max(now, (lanes[index + 1] ?? 0) - cost * this.#baseToken);
  }

  reset(key: string): void {
    const index = this.#locate(key);
    if (index !== -1) this.#table.release(index);
  }

  #decide(key: string, cost: number, takes: boolean): RateLimitDecision {
    const table = this.#table;
    const now = this.#now();
    let index = this.#locate(key);
    const fullAt = index === -1 ? 0 : (table.lanes[index] ?? 0);
    const isKnown = fullAt > now;
    const debt = isKnown ? fullAt - now : 0;
    const baseDebt = isKnown ? Math.max(0, (table.lanes[index + 1] ?? 0) - now) : 0;
    const price = this.#price(cost);
    const isAllowed = debt + price <= this.#window && cost <= this.#policy.requests;
    const wouldBase = baseDebt + cost * this.#baseToken <= this.#window;
    if (takes && cost > 0 && (isAllowed || isKnown)) {
      if (!isKnown) index = table.claim(keyHasher.high, keyHasher.low, now);
      if (isAllowed) table.lanes[index] = now + debt + price;
      if (wouldBase) table.lanes[index + 1] = now + baseDebt + cost * this.#baseToken;
    }
    const owed = takes && isAllowed ? debt + price : debt;
    const limit = Math.max(1, Math.floor(this.#policy.requestsInForce));
    return {
      isAllowed,
      limit,
      remaining: Math.floor((this.#window - owed) / this.#price(1)),
      resetMs: this.#wholeMs(owed),
      retryAfterMs: isAllowed ? 0 : this.#wholeMs(Math.max(1, debt + price - this.#window)),
      wasReduced: !isAllowed && wouldBase,
    };
  }

  #locate(key: string): number {
    keyHasher.hash(key);
    return this.#table.locate(keyHasher.high, keyHasher.low);
  }

  /**
   * What a cost takes, in units. A request that costs more than the reduced limit is admitted when
   * the bucket is full; it would otherwise be shut out for as long as the load lasts.
   */
  #price(cost: number): number {
    return Math.min(this.#window, Math.ceil((cost * this.#window) / Math.max(1, this.#policy.requestsInForce)));
  }

  #wholeMs(units: number): number {
    return this.#time.toWholeMs(Math.ceil(units / this.#policy.requests));
  }

  #now(): number {
    const time = this.#time;
    time.read();
    const now = time.now * this.#policy.requests;
    if (now <= MOST_UNITS) return now;
    const ticks = time.now;
    time.rebase(ticks);
    this.#table.shift(ticks * this.#policy.requests);
    return 0;
  }
}
