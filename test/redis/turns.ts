import { setTimeout as wait } from "node:timers/promises";

/** A standstill of this process, on a machine that gives its time to others, counts as so many milliseconds. */
const STANDSTILL_MS = 50;
const LOOK_EACH_MS = 5;

/**
 * A clock that goes while this process comes to its turns: what takes longer by it than it may, does so
 * by its own fault and not by the machine's.
 */
export class TurnClock {
  #turnsMs = 0;
  #lastMs = performance.now();
  readonly #timer = setInterval(() => this.nowMs(), LOOK_EACH_MS);

  nowMs(): number {
    const nowMs = performance.now();
    this.#turnsMs += Math.min(nowMs - this.#lastMs, STANDSTILL_MS);
    this.#lastMs = nowMs;
    return this.#turnsMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/**
 * Waits until something is so.
 *
 * @param limit milliseconds of a `TurnClock` after which it fails
 * @returns how many of them passed
 */
export async function until(condition: () => boolean | Promise<boolean>, limit: number): Promise<number> {
  const clock = new TurnClock();
  try {
    while (!(await condition())) {
      if (clock.nowMs() > limit) throw new Error(`not within ${limit} ms`);
      await wait(LOOK_EACH_MS);
    }
    return clock.nowMs();
  } finally {
    clock.stop();
  }
}
