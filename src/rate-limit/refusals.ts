import { type Refusal, refusal, withHeaders } from "../problem.js";

const PROBLEM_TYPES = "https://iana.org/assignments/http-problem-types";

/** The quota is used up: 429. */
export function quotaExceeded(names: readonly string[]): Refusal {
  return refusal({
    type: `${PROBLEM_TYPES}#quota-exceeded`,
    title: "Quota exceeded",
    status: 429,
    detail: "Too many requests. Try again after the seconds in Retry-After.",
    "violated-policies": names,
  });
}

/** The unreduced limit would have admitted the request: 429. */
export const REDUCED_CAPACITY: Refusal = refusal({
  type: `${PROBLEM_TYPES}#temporary-reduced-capacity`,
  title: "Temporarily reduced capacity",
  status: 429,
  detail: "The server is busy and grants less than usual. Try again after the seconds in Retry-After.",
});

/** Nobody can count at present, and the limit is configured to refuse then: 503. */
export const COUNTS_UNAVAILABLE: Refusal = refusal({
  type: `${PROBLEM_TYPES}#temporary-reduced-capacity`,
  title: "Temporarily reduced capacity",
  status: 503,
  detail: "The server cannot take requests at the moment. Try again after the seconds in Retry-After.",
});

/** A prepared refusal with the time after which to try again. */
export function withRetryAfter(prepared: Refusal, seconds: number): Refusal {
  return withHeaders(prepared, ["Retry-After", String(seconds)]);
}
