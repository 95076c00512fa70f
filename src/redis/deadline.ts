import { systemClock } from "../core/clock.js";
import { RedisDeadlineError } from "./failures.js";

/** A timer that comes so many milliseconds late tells of this process and not of Redis. */
const LATE_MS = 5;
/** So often the time is counted at most, should this process be busy each time. */
const MOST_ROUNDS = 4;

/**
 * The time that an answer may take, counted from when the command was written.
 *
 * It ends only after the event loop has looked for input once more: timers come before that, and a
 * process that computed for longer than the deadline has the answer, unread, in its socket. Should there
 * be none, the time counts again from there, because a machine whose processors are all busy keeps Redis
 * waiting too. So a dead Redis is found within the deadline by a process that waits, and within four of
 * them, or four turns of its event loop if those are longer, by one that computes.
 */
export class Deadline {
  readonly #milliseconds: number;
  readonly #onMiss: (error: RedisDeadlineError) => void;
  #timer: NodeJS.Timeout | undefined;
  #rounds = 0;
  /** Whether it was ended or missed. */
  isOver = false;

  /** @param onMiss is called once, unless the deadline was ended before */
  constructor(milliseconds: number, onMiss: (error: RedisDeadlineError) => void) {
    this.#milliseconds = milliseconds;
    this.#onMiss = onMiss;
  }

  /** Counts from now on; whatever was counted before is forgotten. */
  start(): void {
    if (this.isOver) return;
    clearTimeout(this.#timer);
    this.#rounds = 0;
    this.#count();
  }

  end(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
  }

  #count(): void {
    const startMs = systemClock.monotonicMs();
    this.#rounds++;
    this.#timer = setTimeout(() => {
      const wasBusy = systemClock.monotonicMs() - startMs > this.#milliseconds + LATE_MS;
      // Immediates run after what has arrived was read.
      setImmediate(() => {
        if (this.isOver) return;
        if (wasBusy && this.#rounds < MOST_ROUNDS) this.#count();
        else this.#miss();
      });
    }, this.#milliseconds);
  }

  #miss(): void {
    this.isOver = true;
    const message = `Redis did not answer within ${this.#milliseconds} ms`;
    const missed =
      this.#rounds > 1
        ? new RedisDeadlineError(`${message}, and this process was busy meanwhile`, "busy")
        : new RedisDeadlineError(message, "deadline");
    this.#onMiss(missed);
  }
}
