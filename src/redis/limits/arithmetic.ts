import { LEAST_BURST } from "../../limits/memory/adaptive-bucket.js";
import { MOST_WINDOW_UNITS } from "../../limits/memory/token-bucket.js";
import type { RateLimitDecision, RateLimitPolicy } from "../../limits/store.js";
import type { Script } from "../script.js";
import { BUCKET_SCRIPT } from "./bucket-script.js";
import { WINDOW_SCRIPT } from "./window-script.js";

/** What each of some like requests costs. */
export interface Cost {
  readonly amount: number;
  /** Cost units per window that this machine grants at the moment. */
  readonly inForce: number;
  /** What is taken for it, as the script counts. */
  readonly units: readonly [number, ...number[]];
  /** What the script is told of it. */
  readonly figures: readonly number[];
}

/** What a script says of like requests in a row. */
export interface Reply {
  /** So many of them were admitted, the first ones; of a lease: the units that were granted. */
  readonly allowed: number;
  /** So many of them the unreduced limit would have admitted, the first ones. */
  readonly unreduced: number;
  /** Milliseconds until nothing is held in leases any more, at the latest; 0 when nothing is. */
  readonly heldMs: number;
  /** @param taken how many of the requests were taken, this one included */
  admitted(taken: number): RateLimitDecision;
  refused(wasReduced: boolean): RateLimitDecision;
}

/** An algorithm as its script knows it: the figures that go there, and what those that come back mean. */
export interface Arithmetic {
  readonly script: Script;
  readonly policy: readonly number[];
  /** How many numbers an operation answers, if it answers. */
  readonly replyLength: number;
  costOf(amount: number, inForce: number): Cost;
  /** What the script is told of a charge into debt. */
  charge(amount: number, inForce: number): readonly number[];
  /** A span in the script's ticks, rounded up; one more, as the script rounds the time down to a tick. */
  ticks(milliseconds: number): number;
  /** @param at where the numbers of the operation begin */
  read(answer: readonly number[], at: number, cost: Cost): Reply;
}

export function arithmeticOf(policy: RateLimitPolicy): Arithmetic {
  return policy.algorithm === "sliding-window" ? new WindowArithmetic(policy) : new BucketArithmetic(policy);
}

/** Token buckets, plain and adaptive: the arithmetic of the ones in memory. */
class BucketArithmetic implements Arithmetic {
  readonly script = BUCKET_SCRIPT;
  readonly policy: readonly number[];
  readonly replyLength = 4;
  readonly #requests: number;
  readonly #isAdaptive: boolean;
  /** A tick in microseconds: a power of two, above 1 for large limits in long windows. */
  readonly #tickMicros: number;
  /** A token of the unreduced limit in units: as many as the window has ticks. */
  readonly #token: number;
  readonly #window: number;

  constructor({ requests, windowMs, isAdaptive }: RateLimitPolicy) {
    this.#requests = requests;
    this.#isAdaptive = isAdaptive;
    const windowMicros = windowMs * 1000;
    this.#tickMicros = 2 ** Math.max(0, Math.ceil(Math.log2((windowMicros * requests) / MOST_WINDOW_UNITS)));
    this.#token = Math.ceil(windowMicros / this.#tickMicros);
    this.#window = this.#token * requests;
    this.policy = Object.freeze([requests, this.#window, this.#tickMicros, isAdaptive ? 1 : 0]);
  }

  costOf(amount: number, inForce: number): Cost {
    const one = this.#unitsOf(amount, inForce);
    const units = [one, amount > this.#requests ? this.#window + 1 : amount * this.#token] as const;
    return { amount, inForce, units, figures: [...units, ...this.#leastDebts(one, inForce)] };
  }

  charge(amount: number, inForce: number): readonly number[] {
    const most = 2 * this.#window;
    const base = Math.min(most, amount * this.#token);
    const units = this.#isAdaptive ? Math.min(most, Math.ceil((amount * this.#window) / Math.max(1, inForce))) : base;
    // What is above the whole limit does not fit, although a reduced one would take a window for it.
    return [units, base, amount > this.#requests ? 0 : 1, ...this.costOf(1, inForce).figures];
  }

  ticks(milliseconds: number): number {
    return Math.ceil((milliseconds * 1000) / this.#tickMicros) + 1;
  }

  read(answer: readonly number[], at: number, cost: Cost): Reply {
    const [allowed = 0, debt = 0, unreduced = 0, held = 0] = answer.slice(at, at + this.replyLength);
    const [units] = cost.units;
    const heldMs = this.#wholeMs(held * this.#requests);
    return {
      allowed,
      unreduced,
      heldMs,
      admitted: (taken) => this.#decision(debt + taken * units, cost, 0, false),
      refused: (wasReduced) => {
        const owed = debt + allowed * units;
        const retryAfterMs = this.#wholeMs(this.#missing(owed, cost)) + heldMs;
        const refused = this.#decision(owed, cost, retryAfterMs, wasReduced);
        // What is held in leases may hold up what comes next.
        return { ...refused, moreMs: Math.min(refused.moreMs + heldMs, retryAfterMs) };
      },
    };
  }

  #decision(debt: number, { amount, inForce, units }: Cost, retryAfterMs: number, wasReduced: boolean) {
    const one = amount === 1 ? units[0] : this.#unitsOf(1, inForce);
    const remaining = Math.max(0, Math.floor((this.#window - debt) / one));
    const decision = {
      isAllowed: retryAfterMs === 0,
      limit: this.#isAdaptive ? Math.max(1, Math.floor(inForce)) : this.#requests,
      remaining,
      resetMs: this.#wholeMs(debt),
      moreMs: this.#wholeMs(Math.min(debt, debt + (remaining + 1) * one - this.#window)),
      retryAfterMs,
      wasReduced,
    } satisfies RateLimitDecision;
    return retryAfterMs === 0 || debt <= this.#window
      ? decision
      : { ...decision, debt: Math.ceil((debt - this.#window) / one) };
  }

  /** Units that must be refilled before a refused request fits. */
  #missing(debt: number, { amount, units }: Cost): number {
    // What costs more than a full bucket is never admitted; a window is as good an answer as any.
    if (amount > this.#requests && !this.#isAdaptive) return Math.max(this.#window, debt);
    return Math.max(1, debt + units[0] - this.#window);
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
  #unitsOf(amount: number, inForce: number): number {
    // More than the most that a key may owe: it never fits, and given back it leaves nothing owed.
    if (!this.#isAdaptive) return Math.min(2 * this.#window + 1, amount * this.#token);
    return Math.min(this.#window, Math.ceil((amount * this.#window) / Math.max(1, inForce)));
  }

  #wholeMs(units: number): number {
    return Math.ceil((Math.ceil(units / this.#requests) * this.#tickMicros) / 1000);
  }
}

/** Sliding windows: the script counts in cost units and microseconds. */
class WindowArithmetic implements Arithmetic {
  readonly script = WINDOW_SCRIPT;
  readonly policy: readonly number[];
  readonly replyLength = 6;
  readonly #requests: number;

  constructor({ requests, windowMs }: RateLimitPolicy) {
    this.#requests = requests;
    this.policy = Object.freeze([requests, Math.ceil(windowMs * 1000)]);
  }

  costOf(amount: number, inForce: number): Cost {
    const units = [amount] as const;
    return { amount, inForce, units, figures: units };
  }

  charge(amount: number): readonly number[] {
    return [amount];
  }

  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds * 1000) + 1;
  }

  read(answer: readonly number[], at: number, { amount }: Cost): Reply {
    const [allowed = 0, used = 0, wait = 0, reset = 0, held = 0, more = 0] = answer.slice(at, at + this.replyLength);
    const limit = this.#requests;
    const told = (taken: number, moreMs: number, retryAfterMs: number): RateLimitDecision => ({
      isAllowed: retryAfterMs === 0,
      limit,
      remaining: Math.max(0, limit - used - taken * amount),
      resetMs: wholeMs(reset),
      moreMs,
      retryAfterMs,
      wasReduced: false,
    });
    return {
      allowed,
      unreduced: 0,
      heldMs: wholeMs(held),
      admitted: (taken) => told(taken, wholeMs(more), 0),
      refused: () => {
        const retryAfterMs = Math.max(1, wholeMs(wait));
        const refused = told(allowed, Math.min(wholeMs(more), retryAfterMs), retryAfterMs);
        return used > limit ? { debt: used - limit, ...refused } : refused;
      },
    };
  }
}

function wholeMs(micros: number): number {
  return Math.ceil(micros / 1000);
}
