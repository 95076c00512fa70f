import { StoreUnavailableError } from "../core/errors.js";
import type { MaybePromise } from "../core/later.js";
import type { StoreHealth } from "../core/store-health.js";

/**
 * Calls a store and turns whatever goes wrong there into a `StoreUnavailableError`.
 *
 * Who does not wait for the answer is not punished for a failure with the end of the process.
 *
 * @param what the beginning of the message
 * @param health is told how it went; `undefined` when something else tells
 */
export function askStore<Value>(
  call: () => MaybePromise<Value>,
  what: string,
  health: StoreHealth | undefined,
): MaybePromise<Value> {
  const fail = (cause: unknown): never => {
    const message = cause instanceof Error ? cause.message : String(cause);
    health?.failed(cause);
    throw new StoreUnavailableError(`${what}: ${message}`, { cause });
  };
  const pass = (value: Value): Value => {
    health?.answered();
    return value;
  };
  let answer: MaybePromise<Value>;
  try {
    answer = call();
  } catch (error) {
    return fail(error);
  }
  if (!(answer instanceof Promise)) return pass(answer);
  const settled = answer.then(pass, fail);
  settled.catch(() => {});
  return settled;
}
