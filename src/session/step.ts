import { andThen } from "../core/later.js";
import type { StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { SessionManager } from "./manager.js";
import type { Session } from "./session.js";

/** What the step reads of a request on its way, and leaves in it. */
export interface SessionPassage {
  readonly view: RequestView;
  /** When the request came, in milliseconds of the monotonic clock. */
  readonly cameAtMs: number;
  openedSession: Session | undefined;
}

/** The step that loads a session from an asynchronous store: its handler reads it at once. */
export function loadSession(sessions: SessionManager): (passage: SessionPassage) => StepResult {
  return (passage) => {
    // A route behind a middleware that has loaded it.
    if (passage.openedSession !== undefined) return undefined;
    return andThen(sessions.open(passage.view, passage.cameAtMs), (session) => {
      passage.openedSession = session;
      return undefined;
    });
  };
}
