import { type ProblemDetails, type Refusal, refusal, withHeaders } from "../core/problem.js";

const PROBLEM_TYPES = "https://iana.org/assignments/http-problem-types";

/** Answers with different `Retry-After` that are kept of one refusal. */
const MOST_KEPT = 256;

/** A refusal that lacks only the time after which to try again. */
export class TemporaryRefusal {
  readonly #prepared: Refusal;
  readonly #bySeconds = new Map<number, Refusal>();

  constructor(problem: ProblemDetails) {
    this.#prepared = refusal(problem);
  }

  /**
   * The refusal with `Retry-After`, ready to be sent. Those that were asked for are kept, so that a
   * flood of refused requests builds nothing.
   */
  after(seconds: number): Refusal {
    const known = this.#bySeconds.get(seconds);
    if (known !== undefined) return known;
    const { status, headers, body } = withHeaders(this.#prepared, ["Retry-After", String(seconds)]);
    // Given out more than once: nobody may change it.
    const complete = Object.freeze({ status, headers: Object.freeze(headers), body });
    // Emptied as a whole: a long window has more different seconds than are worth keeping.
    if (this.#bySeconds.size >= MOST_KEPT) this.#bySeconds.clear();
    this.#bySeconds.set(seconds, complete);
    return complete;
  }
}

/** The quota is used up: 429. */
export function quotaExceeded(names: readonly string[]): TemporaryRefusal {
  return new TemporaryRefusal({
    type: `${PROBLEM_TYPES}#quota-exceeded`,
    title: "Quota exceeded",
    status: 429,
    detail: "Too many requests. Try again after the seconds in Retry-After.",
    "violated-policies": names,
  });
}

/** The unreduced limit would have admitted the request: 429. */
export const REDUCED_CAPACITY = new TemporaryRefusal({
  type: `${PROBLEM_TYPES}#temporary-reduced-capacity`,
  title: "Temporarily reduced capacity",
  status: 429,
  detail: "The server is busy and grants less than usual. Try again after the seconds in Retry-After.",
});

/** Nobody can count at present, and the limit is configured to refuse then: 503. */
export const COUNTS_UNAVAILABLE = new TemporaryRefusal({
  type: `${PROBLEM_TYPES}#temporary-reduced-capacity`,
  title: "Temporarily reduced capacity",
  status: 503,
  detail: "The server cannot take requests at the moment. Try again after the seconds in Retry-After.",
});
