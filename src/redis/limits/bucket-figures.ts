import type { RateLimitDecision, RateLimitPolicy } from "../../limits/store.js";
import { BUCKET_SCRIPT } from "./bucket-script.js";
import type { LimitFigures, Price, Rest, RunAnswer } from "./figures.js";

/** A window in units must stay so small that sums are exact in a double. */
const MOST_WINDOW_UNITS = 2 ** 50;

/** While an adaptive limit is reduced, requests that a known key may spend at once, at least. */
const LEAST_BURST = 4;

/** A price, and the units in which the script counts it. */
interface BucketPrice extends Price {
  readonly units: number;
  readonly baseUnits: number;
}

/** Token buckets, plain and adaptive: the arithmetic of the ones in memory. */
export class BucketFigures implements LimitFigures {
  readonly script = BUCKET_SCRIPT;
  readonly policy: readonly number[];
  readonly answerLength = 4;
  readonly #requests: number;
  readonly #isAdaptive: boolean;
  /** A tick in microseconds: a power of two, above 1 for large limits in long windows. */
  readonly #tickMicros: number;
  /** A token of the unreduced limit in units: as many as the window has ticks. */
  readonly #token: number;
  readonly #window: number;
  #lastPrice: BucketPrice | undefined;

  constructor({ requests, windowMs, isAdaptive }: RateLimitPolicy) {
    this.#requests = requests;
    this.#isAdaptive = isAdaptive;
    const windowMicros = windowMs * 1000;
    this.#tickMicros = 2 ** Math.max(0, Math.ceil(Math.log2((windowMicros * requests) / MOST_WINDOW_UNITS)));
    this.#token = Math.ceil(windowMicros / this.#tickMicros);
    this.#window = this.#token * requests;
    this.policy = Object.freeze([requests, this.#window, this.#tickMicros, isAdaptive ? 1 : 0]);
  }

  price(cost: number, inForce: number): Price {
    return this.#price(cost, inForce);
  }

  charge(cost: number, inForce: number): readonly number[] {
    const most = 2 * this.#window;
    const base = Math.min(most, cost * this.#token);
    const units = this.#isAdaptive ? Math.min(most, Math.ceil((cost * this.#window) / Math.max(1, inForce))) : base;
    // What is above the whole limit does not fit, although a reduced one would take a window for it.
    return [units, base, cost > this.#requests ? 0 : 1, ...this.#price(1, inForce).figures];
  }

  leasePrice(price: Price): readonly number[] {
    return price.figures;
  }

  unused(price: Price, units: number): readonly number[] {
    const [one = 0, base = 0] = price.figures;
    return [units * one, units * base];
  }

  ticks(milliseconds: number): number {
    // The script rounds the time down to a tick: one more, so that the span is never shorter than asked.
    return Math.ceil((milliseconds * 1000) / this.#tickMicros) + 1;
  }

  readRun(reply: readonly number[], at: number, { cost, inForce }: Price): RunAnswer {
    const price = this.#price(cost, inForce);
    const [allowed = 0, debt = 0, unreduced = 0, held = 0] = reply.slice(at, at + this.answerLength);
    const heldMs = this.#wholeMs(held * this.#requests);
    return {
      allowed,
      unreduced,
      heldMs,
      admitted: (taken) => this.#decision(debt + taken * price.units, price, 0, false),
      refused: (wasReduced) => {
        const owed = debt + allowed * price.units;
        const retryAfterMs = this.#wholeMs(this.#missing(owed, price)) + heldMs;
        const refused = this.#decision(owed, price, retryAfterMs, wasReduced);
        // What is held in leases may hold up what comes next.
        return { ...refused, moreMs: Math.min(refused.moreMs + heldMs, retryAfterMs) };
      },
    };
  }

  rest(debt: number, price: Price): Rest {
    return {
      remaining: Math.max(0, Math.floor((this.#window - debt) / this.#unitsOf(1, price.inForce))),
      resetMs: this.#wholeMs(debt),
      moreMs: this.#wholeMs(this.#more(debt, this.#unitsOf(1, price.inForce))),
    };
  }

  #decision(debt: number, price: BucketPrice, retryAfterMs: number, wasReduced: boolean) {
    const one = price.cost === 1 ? price.units : this.#unitsOf(1, price.inForce);
    const decision = {
      isAllowed: retryAfterMs === 0,
      limit: this.#isAdaptive ? Math.max(1, Math.floor(price.inForce)) : this.#requests,
      remaining: Math.max(0, Math.floor((this.#window - debt) / one)),
      resetMs: this.#wholeMs(debt),
      moreMs: this.#wholeMs(this.#more(debt, one)),
      retryAfterMs,
      wasReduced,
    } satisfies RateLimitDecision;
    return retryAfterMs === 0 || debt <= this.#window
      ? decision
      : { ...decision, debt: Math.ceil((debt - this.#window) / one) };
  }

  /** Units that must be refilled until there is one token more. */
  #more(debt: number, one: number): number {
    const remaining = Math.max(0, Math.floor((this.#window - debt) / one));
    return Math.min(debt, debt + (remaining + 1) * one - this.#window);
  }

  /** Units that must be refilled before a refused request fits. */
  #missing(debt: number, price: BucketPrice): number {
    // What costs more than a full bucket is never admitted; a window is as good an answer as any.
    if (price.cost > this.#requests && !this.#isAdaptive) return Math.max(this.#window, debt);
    return Math.max(1, debt + price.units - this.#window);
  }

  /** Nearly all requests cost the same: the last price is at hand. */
  #price(cost: number, inForce: number): BucketPrice {
    const last = this.#lastPrice;
    if (last !== undefined && last.cost === cost && last.inForce === inForce) return last;
    const units = this.#unitsOf(cost, inForce);
    const baseUnits = cost > this.#requests ? this.#window + 1 : cost * this.#token;
    const figures = [units, baseUnits, ...this.#leastDebts(units, inForce)];
    const price = { cost, inForce, units, baseUnits, figures };
    this.#lastPrice = price;
    return price;
  }

  /** What a known key and a new one owe at least: nothing, unless the limit is reduced (as in memory). */
  #leastDebts(units: number, inForce: number): readonly [number, number] {
    if (!this.#isAdaptive || inForce >= this.#requests) return [0, 0];
    const one = this.#unitsOf(1, inForce);
    const burst = Math.max(LEAST_BURST, (inForce * inForce) / this.#requests) * one;
    return [Math.max(0, Math.ceil(this.#window - Math.max(units + one, burst))), this.#window - units];
  }

  /**
   * What a cost takes, in units. A request that costs more than the reduced limit is admitted when the
   * bucket is full; it would otherwise be shut out for as long as the load lasts.
   */
  #unitsOf(cost: number, inForce: number): number {
    // More than the most that a key may owe: it never fits, and given back it leaves nothing owed.
    if (!this.#isAdaptive) return Math.min(2 * this.#window + 1, cost * this.#token);
    return Math.min(this.#window, Math.ceil((cost * this.#window) / Math.max(1, inForce)));
  }

  #wholeMs(units: number): number {
    return Math.ceil((Math.ceil(units / this.#requests) * this.#tickMicros) / 1000);
  }
}
