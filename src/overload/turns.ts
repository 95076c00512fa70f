import { setImmediate } from "node:timers";
import { loopTime } from "./event-loop.js";

/** Milliseconds that the event loop has slept since the process began; NaN where the runtime does not tell. */
export type IdleTimeReader = () => number;

/**
 * Calls back when the turn of the event loop that is in progress has handed over all that it read. By
 * default the `setImmediate` of the module: fake timers replace the global one, and no turn would end.
 */
export type AfterTurn = (callback: () => void) => unknown;

/** Weight of the newest turn in means over turns. */
const NEWEST_TURN_WEIGHT = 0.2;

/**
 * The turns of the event loop, as requests see them.
 *
 * In one turn Node reads all requests that came since the turn before, and hands them over one after
 * the other. When the process is overloaded that is where requests queue: by the time a handler sees
 * one, it has waited for the rest of the former turn, and for those that were handed over before it.
 * Latency that is measured from the handler's start shows nothing of this.
 *
 * The first request of a turn marks its beginning, and one `setImmediate` its end: immediates run when
 * all that was read is handed over.
 */
export class EventLoopTurns {
  /** Requests that see the same number were read in the same turn. */
  number = 0;
  #isOpen = false;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #idleMs = 0;
  /** When the last turn began before which the loop had slept, in milliseconds: it had nothing to do then. */
  sleptAtMs = Number.NEGATIVE_INFINITY;
  #arrivedAtMs = 0;
  /** When the last request was handed over, in milliseconds of the monotonic clock. */
  latestMs = 0;
  #isLatestRefused = false;
  #refusingMs = 0;
  /** Milliseconds that went into refusing requests, of all turns. */
  refusedMs = 0;
  #meanRefusingMs = 0;
  readonly #readIdleMs: IdleTimeReader;
  readonly #afterTurn: AfterTurn;

  constructor(readIdleMs: IdleTimeReader = loopIdleMs, afterTurn: AfterTurn = setImmediate) {
    this.#readIdleMs = readIdleMs;
    this.#afterTurn = afterTurn;
  }

  /** Milliseconds a turn, averaged, that went into refusing requests. */
  get refusingMs(): number {
    return this.#meanRefusingMs;
  }

  /** How long the turn in progress has lasted, in milliseconds; 0 between turns. */
  ageMs(nowMs: number): number {
    return this.#isOpen ? Math.max(0, nowMs - this.#beganAtMs) : 0;
  }

  /**
   * A request is handed over. The answer is when it came, as far as can be told from inside.
   *
   * If the loop slept since the last turn, the first request woke it and has not waited. Else the
   * requests of this turn came at any time since that turn began: half of that time ago, on average.
   * The estimate is wrong by at most that half.
   *
   * @param nowMs the monotonic clock
   * @returns milliseconds of the same clock
   */
  arrive(nowMs: number): number {
    if (!this.#isOpen) this.#begin(nowMs);
    else if (this.#isLatestRefused) this.#refusingMs += nowMs - this.latestMs;
    this.latestMs = nowMs;
    this.#isLatestRefused = false;
    return this.#arrivedAtMs;
  }

  /** The request that arrived last was refused at once. */
  noteRefusal(): void {
    this.#isLatestRefused = true;
  }

  #begin(nowMs: number): void {
    const idleMs = this.#readIdleMs();
    const hasSlept = idleMs > this.#idleMs;
    // Where the runtime does not tell how long its loop slept, half of the time since the last turn would be a guess.
    const isUnknown = Number.isNaN(idleMs) || this.#beganAtMs === Number.NEGATIVE_INFINITY;
    this.#arrivedAtMs = hasSlept || isUnknown ? nowMs : (nowMs + this.#beganAtMs) / 2;
    if (hasSlept) this.sleptAtMs = nowMs;
    this.#idleMs = idleMs;
    this.#beganAtMs = nowMs;
    this.#refusingMs = 0;
    this.#isOpen = true;
    this.#afterTurn(this.#end);
  }

  /** One function for all turns: none is made on the request path. */
  readonly #end = (): void => {
    this.#isOpen = false;
    this.number++;
    this.refusedMs += this.#refusingMs;
    this.#meanRefusingMs += (this.#refusingMs - this.#meanRefusingMs) * NEWEST_TURN_WEIGHT;
  };
}

function loopIdleMs(): number {
  return loopTime().idle;
}
