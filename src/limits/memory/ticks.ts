import type { Clock } from "../../core/clock.js";

/** The finest tick: 1/1024 of a millisecond. */
const FINEST_POWER = 10;

/**
 * Counts time in whole ticks of a power of two of a millisecond, from a moment that can be moved.
 *
 * Whole numbers make the arithmetic of limits exact: adding whole seconds to a time adds exactly so
 * many ticks, so who waits exactly `Retry-After` is admitted, however long the process has run. The
 * monotonic clock may jump; when it goes back, the last time is used again.
 */
export class Ticks {
  /** Ticks in a millisecond: a power of two, below 1 for windows of many days. */
  readonly perMs: number;
  /** The time of the last `read`, rounded down to a tick. */
  now = 0;
  /** The time of the last `read`, rounded up to a tick. */
  nowUp = 0;
  #originMs: number;

  /**
   * @param clock monotonic milliseconds are read from it
   * @param windowMs the limit's window
   * @param mostTicks a window must not be longer than so many ticks
   */
  constructor(
    readonly clock: Clock,
    windowMs: number,
    mostTicks: number,
  ) {
    this.perMs = 2 ** Math.min(FINEST_POWER, Math.floor(Math.log2(mostTicks / windowMs)));
    this.#originMs = Math.floor(clock.monotonicMs());
  }

  /** Reads the clock into `now` and `nowUp`. */
  read(): void {
    const time = (this.clock.monotonicMs() - this.#originMs) * this.perMs;
    const down = Math.floor(time);
    if (down > this.now) {
      this.now = down;
      this.nowUp = down === time ? down : down + 1;
    } else if (down === this.now && time > down) {
      this.nowUp = down + 1;
    }
  }

  /** A span in ticks, rounded up. */
  fromMs(spanMs: number): number {
    return Math.ceil(spanMs * this.perMs);
  }

  /** A span in whole milliseconds, rounded up. */
  toWholeMs(ticks: number): number {
    return Math.ceil(ticks / this.perMs);
  }

  /** Moves the origin so that `now` becomes smaller by `ticks`. */
  rebase(ticks: number): void {
    this.#originMs += ticks / this.perMs;
    this.now -= ticks;
    this.nowUp -= ticks;
  }
}
