import { object, type Reader } from "./options.js";

/**
 * The two clocks that everything here reads time from. Tests give their own; nothing else calls
 * `Date.now` or `performance.now`.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970: for `exp`, cookies, sessions. It may be set back. */
  wallMs(): number;
  /** Monotonic clock, milliseconds since an arbitrary moment: for limits and durations. */
  monotonicMs(): number;
}

/** The clocks of this machine. */
export const systemClock: Clock = Object.freeze({
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
});

/** The option `clock`: the clocks of this machine when it is not given. */
export const readClock: Reader<Clock> = (fields, name) =>
  object<Clock>(["wallMs", "monotonicMs"], "a clock", "give an object with wallMs() and monotonicMs()")(fields, name) ??
  systemClock;
