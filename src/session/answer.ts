/** An answer that is there at once, or later: what a store gives. */
export type Answer<Value> = Value | Promise<Value>;

/**
 * Goes on with an answer: at once when it is there, so that synchronous stores cost no turn of the
 * event loop, and otherwise when it comes.
 */
export function andThen<Value, Result>(answer: Answer<Value>, next: (value: Value) => Answer<Result>): Answer<Result> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
