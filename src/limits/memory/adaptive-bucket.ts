import type { Clock } from "../../core/clock.js";
import type { MemoryCounts, RateLimitDecision, RateLimitPolicy } from "../store.js";
import { keyHasher } from "./key-hash.js";
import { KeyTable } from "./key-table.js";
import { Ticks } from "./ticks.js";
import { MOST_WINDOW_UNITS } from "./token-bucket.js";

const MOST_UNITS = 2 ** 52;
/** While the limit is reduced, requests that a known key may spend at once, at least. */
export const LEAST_BURST = 4;
const TO_UNIT = 2 ** -32;
/** To mix a time into a fingerprint: the largest prime and the golden ratio of 32 bits. */
const LARGE_PRIME = 4_294_967_291;
const GOLDEN_RATIO = 0x9e3779b1;

/**
 * A token bucket for each key whose size and refill follow the limit in force.
 *
 * A bucket is the time at which it is full again, as in the plain token bucket. An empty one fills in
 * a window whatever the limit is; a lower limit makes each token cost more of that time. A change of
 * the limit therefore keeps how full each bucket is, and touches none of them.
 *
 * While the limit is reduced, so is what may be spent at once, and more so than the limit: the buckets
 * of many clients are full when an overload begins, and would all be emptied onto the loaded server. A
 * key that is new has one request in hand and no burst: otherwise clients that come and go, or change
 * their addresses, would get past the reduction. A key counts as known for a window after its bucket
 * was full again.
 *
 * Clients that were stopped at the same moment would get their next requests at the same moment too,
 * and stay in step: a burst in every period. So while the limit is reduced a request is let in when
 * there is some part of a token more than it takes, another part for each key and each time.
 *
 * A second time beside it is that of the bucket as the unreduced limit would have it by now, had it
 * been in force all along. It tells whether the reduction alone refused a request.
 */
export class AdaptiveBuckets implements MemoryCounts {
  readonly isLocal = true;
  readonly #policy: RateLimitPolicy;
  readonly #partOf: (fingerprint: number, time: number) => number;
  readonly #table: KeyTable;
  readonly #time: Ticks;
  readonly #window: number;
  #inForce = Number.NaN;
  #isReduced = false;
  /** One token of the limit in force in units. */
  #token = 0;
  /** While the limit is reduced: units that a known key may spend at once. */
  #burst = 0;
  /** One token of the unreduced limit in units. */
  readonly #baseToken: number;

  /** @param partOf which part of a token a request needs more than it takes, for the key with this fingerprint */
  constructor(
    policy: RateLimitPolicy,
    clock: Clock,
    partOf: (fingerprint: number, time: number) => number = scattered,
  ) {
    this.#policy = policy;
    this.#partOf = partOf;
    this.#time = new Ticks(clock, policy.windowMs, MOST_WINDOW_UNITS / policy.requests);
    this.#baseToken = this.#time.fromMs(policy.windowMs);
    this.#window = this.#baseToken * policy.requests;
    const most = 2 * (this.#window - this.#baseToken + 1);
    this.#table = new KeyTable(2, policy.maxKeys, {
      // While the limit is reduced, whoever is new owes a window: what the unreduced limit has against a key counts too.
      useOf: (index) => {
        const now = this.#time.now * policy.requests;
        const debt = Math.max(0, this.#table.at(index) - now);
        return (debt + Math.max(0, this.#table.at(index + 1) - now)) / most;
      },
    });
  }

  get byteLength(): number {
    return this.#table.byteLength;
  }

  consume(key: string, cost: number): RateLimitDecision {
    return this.#decide(key, cost, true);
  }

  charge(key: string, cost: number): RateLimitDecision {
    const table = this.#table;
    this.#follow();
    const now = this.#now();
    let index = this.#locate(key);
    const isKnown = index !== -1 && table.at(index) > this.#past(now);
    const debt = Math.max(this.#leastDebt(isKnown, this.#token), isKnown ? table.at(index) - now : 0);
    const baseDebt = isKnown ? Math.max(0, table.at(index + 1) - now) : 0;
    const wanted = debt + Math.ceil((cost * this.#window) / Math.max(1, this.#inForce));
    const wantedBase = baseDebt + cost * this.#baseToken;
    const owed = Math.min(wanted, 2 * this.#window);
    if (cost > 0) {
      if (!isKnown) index = table.claim(keyHasher.high, keyHasher.low, this.#past(now));
      table.times[index] = now + owed;
      table.times[index + 1] = now + Math.min(wantedBase, 2 * this.#window);
    }
    const isAllowed = cost === 0 || (wanted <= this.#window && cost <= this.#policy.requests);
    const missing = owed + this.#token + this.#margin(now + owed, this.#token) - this.#window;
    return this.#decision(isAllowed, owed, now + owed, Math.max(1, missing), wantedBase <= this.#window);
  }

  peek(key: string, cost: number): RateLimitDecision {
    return this.#decide(key, cost, false);
  }

  giveBack(key: string, cost: number): void {
    this.#follow();
    const now = this.#now();
    const index = this.#locate(key);
    if (index === -1) return;
    const { times } = this.#table;
    const fullAt = this.#table.at(index);
    if (fullAt <= now) return;
    times[index] = Math.max(now, fullAt - this.#price(cost));
    times[index + 1] = Math.max(now, this.#table.at(index + 1) - cost * this.#baseToken);
  }

  reset(key: string): void {
    const now = this.#now();
    const index = this.#locate(key);
    if (index === -1 || this.#table.at(index) <= this.#past(now)) return;
    // Full, and known to be: forgetting what a key has used does not make it a stranger.
    this.#table.times[index] = now;
    this.#table.times[index + 1] = now;
  }

  #decide(key: string, cost: number, takes: boolean): RateLimitDecision {
    const table = this.#table;
    this.#follow();
    const now = this.#now();
    let index = this.#locate(key);
    const fullAt = index === -1 ? 0 : table.at(index);
    const isKnown = fullAt > this.#past(now);
    const price = this.#price(cost);
    const leastDebt = this.#leastDebt(isKnown, price);
    const debt = isKnown ? Math.max(leastDebt, fullAt - now) : leastDebt;
    const baseDebt = isKnown ? Math.max(0, table.at(index + 1) - now) : 0;
    const needed = debt + price + (isKnown ? this.#margin(fullAt, price) : 0);
    const isAllowed = cost === 0 || (needed <= this.#window && cost <= this.#policy.requests);
    const wouldBase = baseDebt + cost * this.#baseToken <= this.#window;
    if (takes && cost > 0 && (isAllowed || isKnown)) {
      if (!isKnown) index = table.claim(keyHasher.high, keyHasher.low, this.#past(now));
      if (isAllowed) table.times[index] = now + debt + price;
      if (wouldBase) table.times[index + 1] = now + baseDebt + cost * this.#baseToken;
    }
    const hasTaken = takes && isAllowed;
    const owed = hasTaken ? debt + price : debt;
    const missing = Math.max(1, needed - this.#window);
    return this.#decision(isAllowed, owed, hasTaken ? now + owed : fullAt, missing, wouldBase);
  }

  /** @param missing units that must be refilled before a refused request fits */
  #decision(isAllowed: boolean, owed: number, fullAt: number, missing: number, wouldBase: boolean): RateLimitDecision {
    const room = this.#room(owed, fullAt);
    const remaining = Math.max(0, Math.floor(room / this.#token));
    const more = Math.min(owed, (remaining + 1) * this.#token - room);
    const decision = {
      isAllowed,
      limit: Math.max(1, Math.floor(this.#inForce)),
      remaining,
      resetMs: this.#wholeMs(owed),
      moreMs: this.#wholeMs(isAllowed ? more : Math.min(more, missing)),
      retryAfterMs: isAllowed ? 0 : this.#wholeMs(missing),
      wasReduced: !isAllowed && wouldBase,
    };
    return isAllowed || owed <= this.#window
      ? decision
      : { ...decision, debt: Math.ceil((owed - this.#window) / this.#token) };
  }

  /** Keys whose buckets were full at this time or before are not known any more. */
  #past(now: number): number {
    return Math.max(0, now - this.#window);
  }

  /** What every key owes at least: nothing, unless the limit is reduced. */
  #leastDebt(isKnown: boolean, price: number): number {
    if (!this.#isReduced) return 0;
    if (!isKnown) return this.#window - price;
    // A request that costs more than what may be spent at once must still find room some time.
    return Math.max(0, this.#window - Math.max(price + this.#token, this.#burst));
  }

  /** What must be there beyond the price, less than a token; the same until the next request is let in. */
  #margin(fullAt: number, price: number): number {
    if (!this.#isReduced) return 0;
    const part = this.#partOf(keyHasher.low, fullAt);
    return Math.min(this.#window - price, Math.floor(this.#token * part));
  }

  /** Units that may be spent now; below 0 when it is not even the part that must be there beyond a price. */
  #room(owed: number, fullAt: number): number {
    const isUnused = owed === 0 || fullAt === 0;
    return this.#window - owed - (isUnused ? 0 : this.#margin(fullAt, this.#token));
  }

  /** Computes what depends on the limit in force, when that has moved. */
  #follow(): void {
    const { requests, requestsInForce } = this.#policy;
    if (requestsInForce === this.#inForce) return;
    this.#inForce = requestsInForce;
    this.#isReduced = requestsInForce < requests;
    this.#token = this.#price(1);
    this.#burst = Math.max(LEAST_BURST, (requestsInForce * requestsInForce) / requests) * this.#token;
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
    return Math.min(this.#window, Math.ceil((cost * this.#window) / Math.max(1, this.#inForce)));
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

/** From 0 to less than 1, as if by chance, and always the same for the same two. */
function scattered(fingerprint: number, time: number): number {
  return (Math.imul(fingerprint ^ (time % LARGE_PRIME), GOLDEN_RATIO) >>> 0) * TO_UNIT;
}
