import type { Refusal } from "../../problem.js";
import type { SecuredRequest } from "../../secured-request.js";
import { type GuardedResponse, setSessionCookie } from "./guarded-response.js";

/** A call on the response that waits for the session to be saved. */
type HeldCall = () => void;

/**
 * Holds a response back until its session is saved, for sessions in an asynchronous store.
 *
 * A client that has the answer may send its next request at once, to any machine: what it was told
 * is saved must be saved by then. Whatever the handler does with the response meanwhile (`writeHead`,
 * `write`, `end`) is kept in order and done afterwards. If the store does not answer, the client gets
 * a refusal and never an answer that claims a login that was not stored.
 *
 * @param unavailable what to answer when the session cannot be saved
 */
export function holdUntilSaved(response: GuardedResponse, request: SecuredRequest, unavailable: Refusal): void {
  const { writeHead, write, end } = response;
  const calls: HeldCall[] = [];
  let isSaving = false;

  const release = () => Object.assign(response, { writeHead, write, end });
  const replay = (cookie: string | undefined) => {
    release();
    setSessionCookie(response, cookie);
    for (const call of calls) call();
    response.emit("drain");
  };
  const refuse = () => {
    release();
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.writeHead(unavailable.status, [...unavailable.headers]);
    response.end(unavailable.body);
  };

  /** Whether the call must wait; the first one starts the saving. */
  const mustWait = (): boolean => {
    if (isSaving) return true;
    const session = request.openedSession;
    const saved = session && request.security.sessions?.commit(session);
    if (!(saved instanceof Promise)) {
      release();
      setSessionCookie(response, saved);
      return false;
    }
    isSaving = true;
    saved.then(replay, refuse);
    return true;
  };
  const held =
    (method: (...args: never[]) => unknown, answer: unknown) =>
    (...args: unknown[]): unknown => {
      const call = () => Reflect.apply(method, response, args);
      if (!mustWait()) return call();
      calls.push(call);
      return answer;
    };

  Object.assign(response, {
    writeHead: held(writeHead, response),
    write: held(write, false),
    end: held(end, response),
  });
}
