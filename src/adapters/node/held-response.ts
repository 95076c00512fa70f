import { StoreUnavailableError } from "../../errors.js";
import { type Refusal, SERVER_ERROR, STORE_UNAVAILABLE } from "../../problem.js";
import type { SecuredRequest } from "../../secured-request.js";
import { forgetReason, type GuardedResponse, setSessionCookie } from "./guarded-response.js";

/** A call on the response that waits for the session to be saved. */
type HeldCall = () => void;

/**
 * Holds a response back until its session is saved, for sessions in a store that can fail or take
 * time. Does nothing for others.
 *
 * A client that has the answer may send its next request at once, to any machine: what it was told
 * is saved must be saved by then. Whatever the handler does with the response meanwhile (`writeHead`,
 * `write`, `end`) is kept in order and done afterwards. If the store does not answer, the client gets
 * a refusal and never an answer that claims a login that was not stored.
 */
export function holdUntilSaved(response: GuardedResponse, request: SecuredRequest): void {
  const { sessions } = request.security;
  if (sessions === undefined || !sessions.canFail) return;
  const { writeHead, write, end } = response;
  const calls: HeldCall[] = [];
  let isSaving = false;

  const release = () => Object.assign(response, { writeHead, write, end });
  const replay = (cookie: string | undefined) => {
    release();
    setSessionCookie(response, cookie);
    try {
      for (const call of calls) call();
    } catch (error) {
      // Whoever made the call has returned long ago. Nobody else can catch this, and the process must live.
      warnOf(error);
      answerInstead(response, SERVER_ERROR);
    }
    response.emit("drain");
  };
  const refuse = () => {
    release();
    answerInstead(response, STORE_UNAVAILABLE);
    response.emit("drain");
  };

  /** Whether the call must wait; the first one starts the saving. */
  const mustWait = (): boolean => {
    if (isSaving) return true;
    isSaving = true;
    try {
      const saved = request.commitSession();
      if (saved instanceof Promise) {
        saved.then(replay, refuse);
        return true;
      }
      release();
      setSessionCookie(response, saved);
      return false;
    } catch (error) {
      // Not thrown on: the caller may be a timer, behind which there is nobody.
      if (error instanceof StoreUnavailableError) {
        refuse();
        return true;
      }
      release();
      throw error;
    }
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

/** Answers in the place of what the handler wrote, and takes no notice of what it goes on to write. */
function answerInstead(response: GuardedResponse, { status, headers, body }: Refusal): void {
  if (response.headersSent) {
    response.destroy();
  } else {
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    forgetReason(response);
    response.writeHead(status, [...headers]);
    response.end(body);
  }
  Object.assign(response, { writeHead: () => response, write: ignore(true), end: ignore(response) });
}

/** A method of the response that only calls back. */
function ignore(answer: unknown): (...args: readonly unknown[]) => unknown {
  return (...args) => {
    const callback = args.at(-1);
    if (typeof callback === "function") process.nextTick(callback);
    return answer;
  };
}

function warnOf(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  // As JSON: Node quotes a header's name in it, and that may hold line breaks.
  process.emitWarning(`a response could not be written: ${JSON.stringify(message)}`, {
    code: "CELLO_RESPONSE_NOT_WRITTEN",
  });
}
