import type { ConfigFields } from "./options.js";

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

/** The field `clock` of an options object: the machine's when it is not given. @throws ConfigError */
export function readClock(fields: ConfigFields): Clock {
  const clock = fields.raw("clock");
  if (clock === undefined) return systemClock;
  if (isClock(clock)) return clock;
  return fields.fail("CELLO_WRONG_TYPE", "clock", "is not a clock", "give an object with wallMs() and monotonicMs()");
}

function isClock(value: unknown): value is Clock {
  if (typeof value !== "object" || value === null) return false;
  return ["wallMs", "monotonicMs"].every((method) => typeof Reflect.get(value, method) === "function");
}
