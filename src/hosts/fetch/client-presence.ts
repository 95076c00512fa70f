import type { ClientWatch, InFlight } from "../../overload/in-flight.js";
import { watchClient } from "../client-watch.js";
import type { NodeRequest } from "../node-request.js";

/** Makes a request leave when its signal says that the client has gone. */
class AbortWatch implements ClientWatch {
  readonly #signal: AbortSignal;
  readonly #request: InFlight;

  constructor(signal: AbortSignal, request: InFlight) {
    this.#signal = signal;
    this.#request = request;
    signal.addEventListener("abort", this, { once: true });
  }

  /** Called by the signal, as a listener that is an object. */
  handleEvent(): void {
    this.#request.leaveUnanswered();
  }

  forget(): void {
    // A signal may live longer than its request, and be shared by many.
    this.#signal.removeEventListener("abort", this);
  }
}

/**
 * Makes a request of the Fetch standard leave when its client goes away: as the Node server underneath
 * tells, where there is one, else as the request's `signal` does.
 */
export function watchFetchClient(raw: Request, incoming: NodeRequest | undefined, request: InFlight): void {
  if (incoming !== undefined) {
    watchClient(incoming, request);
    return;
  }
  // Not every runtime has one.
  const signal: AbortSignal | undefined = raw.signal;
  if (signal === undefined) return;
  if (signal.aborted) request.leaveUnanswered();
  else request.watch = new AbortWatch(signal, request);
}

/** The request of the Node server underneath, as Hono's hands it over: in `incoming` of an argument behind the request. */
export function incomingOf(hostArguments: readonly unknown[]): NodeRequest | undefined {
  for (const argument of hostArguments) {
    if (typeof argument !== "object" || argument === null || !("incoming" in argument)) continue;
    if (isNodeRequest(argument.incoming)) return argument.incoming;
  }
  return undefined;
}

function isNodeRequest(value: unknown): value is NodeRequest {
  return typeof value === "object" && value !== null && "httpVersionMajor" in value && "rawHeaders" in value;
}
