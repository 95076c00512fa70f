import type { RateLimitPolicy } from "../../limits/store.js";
import type { LimitFigures, Price, Rest, RunAnswer } from "./figures.js";
import { WINDOW_SCRIPT } from "./window-script.js";

/** Sliding windows: the script counts in cost units and microseconds. */
export class WindowFigures implements LimitFigures {
  readonly script = WINDOW_SCRIPT;
  readonly policy: readonly number[];
  readonly answerLength = 6;
  readonly #requests: number;
  readonly #windowMs: number;

  constructor({ requests, windowMs }: RateLimitPolicy) {
    this.#requests = requests;
    this.#windowMs = Math.ceil(windowMs);
    this.policy = Object.freeze([requests, Math.ceil(windowMs * 1000)]);
  }

  price(cost: number, inForce: number): Price {
    return { cost, inForce, figures: [cost] };
  }

  charge(cost: number): readonly number[] {
    return [cost];
  }

  leasePrice(): readonly number[] {
    return [];
  }

  unused(_price: Price, units: number): readonly number[] {
    return [units];
  }

  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds * 1000) + 1;
  }

  readRun(reply: readonly number[], at: number, { cost }: Price): RunAnswer {
    const [allowed = 0, used = 0, wait = 0, reset = 0, held = 0, more = 0] = reply.slice(at, at + this.answerLength);
    const limit = this.#requests;
    const resetMs = wholeMs(reset);
    const moreMs = wholeMs(more);
    const retryAfterMs = Math.max(1, wholeMs(wait));
    return {
      allowed,
      unreduced: 0,
      heldMs: wholeMs(held),
      admitted: (taken) => ({
        isAllowed: true,
        limit,
        remaining: Math.max(0, limit - used - taken * cost),
        resetMs,
        moreMs,
        retryAfterMs: 0,
        wasReduced: false,
      }),
      refused: () => ({
        ...(used > limit ? { debt: used - limit } : undefined),
        isAllowed: false,
        limit,
        remaining: Math.max(0, limit - used - allowed * cost),
        resetMs,
        moreMs: Math.min(moreMs, retryAfterMs),
        retryAfterMs,
        wasReduced: false,
      }),
    };
  }

  rest(used: number, _price: Price, more: number): Rest {
    return { remaining: Math.max(0, this.#requests - used), resetMs: this.#windowMs, moreMs: wholeMs(more) };
  }
}

function wholeMs(micros: number): number {
  return Math.ceil(micros / 1000);
}
