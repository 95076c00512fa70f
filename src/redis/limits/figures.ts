import type { RateLimitDecision } from "../../limits/store.js";
import type { Script } from "../script.js";

/** What the same request costs each time in a run of like requests. */
export interface Price {
  /** Cost units. */
  readonly cost: number;
  /** Cost units per window that this machine grants at the moment. */
  readonly inForce: number;
  /** What the script is told of it. */
  readonly figures: readonly number[];
}

/** What a script says of a run of like requests: of how many in a row, and from which state on. */
export interface RunAnswer {
  /** So many of them were admitted, the first ones. */
  readonly allowed: number;
  /** So many of them the unreduced limit would have admitted, the first ones. */
  readonly unreduced: number;
  /** Milliseconds until nothing is held in leases any more, at the latest; 0 when nothing is. */
  readonly heldMs: number;
  /** @param taken how many of the run were taken, this one included */
  admitted(taken: number): RateLimitDecision;
  refused(wasReduced: boolean): RateLimitDecision;
}

/** What a grant of units in a lease left of the quota. */
export interface Rest {
  /** Whole units that are still there. */
  readonly remaining: number;
  /** Milliseconds until the whole quota is there again. */
  readonly resetMs: number;
  /** Milliseconds until one unit more is there. */
  readonly moreMs: number;
}

/** An algorithm as its script knows it: the figures that go there, and what those that come back mean. */
export interface LimitFigures {
  readonly script: Script;
  /** What the script must know of the policy. */
  readonly policy: readonly number[];
  /** How many numbers answer a run. */
  readonly answerLength: number;
  price(cost: number, inForce: number): Price;
  /** What the script is told of a charge into debt. */
  charge(cost: number, inForce: number): readonly number[];
  /** What the script is told of the price of a leased unit. */
  leasePrice(price: Price): readonly number[];
  /** What the script is told of units of a lease that were not used. */
  unused(price: Price, units: number): readonly number[];
  /** A span in the script's ticks, rounded up. */
  ticks(milliseconds: number): number;
  readRun(reply: readonly number[], at: number, price: Price): RunAnswer;
  /**
   * @param state the second number that answers a lease
   * @param more the third: until one unit more is there, where the state does not tell
   */
  rest(state: number, price: Price, more: number): Rest;
}
