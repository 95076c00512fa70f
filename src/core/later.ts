/** A value that is there at once, or later: what a store in this process gives, and one elsewhere. */
export type MaybePromise<Value> = Value | Promise<Value>;

/**
 * Goes on with a value: at once when it is there, so that what answers at once costs no turn of the
 * event loop, and otherwise when it comes.
 */
export function andThen<Value, Result>(
  value: MaybePromise<Value>,
  next: (value: Value) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Whether a value has to be waited for: a promise of whatever make. */
export function isPromiseLike<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
