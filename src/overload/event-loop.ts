import { type IntervalHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";

/** How long the event loop worked and slept since the process began, in milliseconds; NaN where nobody tells. */
export interface LoopTime {
  readonly active: number;
  readonly idle: number;
}

/** Weight of the newest sample in the mean cost. */
const NEWEST_COST_WEIGHT = 0.3;

/** What a request costs the event loop, on average, in milliseconds of its time. */
export class RequestCosts {
  /** Requests that were answered, counted by whoever answers them. */
  answered = 0;
  #lastAnswered = 0;
  #lastActiveMs: number;
  #lastRefusedMs = 0;
  /** The mean as it was sampled last; 0 when nothing was answered yet. */
  meanMs = 0;

  constructor(readonly read: () => LoopTime) {
    this.#lastActiveMs = read().active;
  }

  /**
   * The mean, with what was answered since the last call.
   *
   * @param refusedMs all the time that went into refusing: it is no cost of those that were answered
   */
  sample(refusedMs: number): number {
    const answered = this.answered - this.#lastAnswered;
    if (answered === 0) return this.meanMs;
    const { active } = this.read();
    const spentMs = active - this.#lastActiveMs - (refusedMs - this.#lastRefusedMs);
    this.#lastAnswered = this.answered;
    this.#lastActiveMs = active;
    this.#lastRefusedMs = refusedMs;
    if (!Number.isFinite(spentMs)) return this.meanMs;
    const newestMs = Math.max(0, spentMs / answered);
    this.meanMs = this.meanMs === 0 ? newestMs : this.meanMs + (newestMs - this.meanMs) * NEWEST_COST_WEIGHT;
    return this.meanMs;
  }
}

/**
 * Kept from the moment of loading: fake timers of test runners put functions in its place that answer
 * nothing. They fake the time that a program sees, and the event loop is real beside them.
 */
const eventLoopUtilization = performance.eventLoopUtilization?.bind(performance);
const NOT_TOLD: LoopTime = Object.freeze({ active: Number.NaN, idle: Number.NaN });

/** The loop's times as the runtime tells them; NaN where it does not, as Bun. */
export function loopTime(): LoopTime {
  const told: LoopTime | undefined = eventLoopUtilization?.();
  return told ?? NOT_TOLD;
}

/** How late timers are. */
export interface DelayReader {
  start(): void;
  stop(): void;
  /** Milliseconds, the mean since the last call; NaN when no timer was due since. */
  take(): number;
}

/** Milliseconds between two timers: 50 a second cost next to nothing. */
const RESOLUTION_MS = 20;

/** Timers of the loop itself, measured by `perf_hooks`. Does not keep the process alive. */
export class TimerDelays implements DelayReader {
  #histogram: IntervalHistogram | undefined;

  start(): void {
    this.#histogram ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
  }

  stop(): void {
    this.#histogram?.disable();
  }

  take(): number {
    if (this.#histogram === undefined) return Number.NaN;
    const { mean } = this.#histogram;
    this.#histogram.reset();
    // It counts from one timer to the next, the time between them included.
    return Number.isNaN(mean) ? Number.NaN : Math.max(0, mean / 1e6 - RESOLUTION_MS);
  }
}
