import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { SecuredRequest } from "../../secured-request.js";

const kUnanswered = Symbol("cello.unanswered");

/** A connection that knows which of its requests are not answered yet. */
interface WatchedSocket extends Socket {
  [kUnanswered]?: Unanswered;
}

/** The requests of a connection that are not answered yet: one, unless the client sends ahead of the answers. */
class Unanswered {
  #one: SecuredRequest | undefined = undefined;
  readonly #others = new Set<SecuredRequest>();

  add(request: SecuredRequest): void {
    // A set that is filled and emptied for every request would be most of the cost of watching.
    if (this.#one === undefined) this.#one = request;
    else this.#others.add(request);
  }

  delete(request: SecuredRequest): void {
    if (this.#one === request) this.#one = undefined;
    else this.#others.delete(request);
  }

  leave(): void {
    this.#one?.leave(false);
    this.#one = undefined;
    for (const request of this.#others) request.leave(false);
    this.#others.clear();
  }
}

/**
 * Makes a request leave when its client goes away. What it left would count as in progress for ever
 * otherwise.
 *
 * One listener for a connection and not one for a response: of pipelined requests only the first
 * response is told that the connection has closed. In HTTP/2 each response has a stream of its own.
 */
export function leaveWithClient(response: ServerResponse, request: SecuredRequest): void {
  if (request.arrivedAtMs === 0) return;
  if (response.req.httpVersionMajor >= 2) {
    response.once("close", () => request.leave(false));
    return;
  }
  const socket: WatchedSocket = response.req.socket;
  if (socket.destroyed) {
    request.leave(false);
    return;
  }
  (socket[kUnanswered] ?? watch(socket)).add(request);
}

/** The head of its answer is written. */
export function leaveAnswered(response: ServerResponse, request: SecuredRequest): void {
  if (request.arrivedAtMs === 0) return;
  request.leave(true);
  if (response.req.httpVersionMajor >= 2) return;
  const socket: WatchedSocket = response.req.socket;
  socket[kUnanswered]?.delete(request);
}

function watch(socket: WatchedSocket): Unanswered {
  const unanswered = new Unanswered();
  socket[kUnanswered] = unanswered;
  socket.once("close", () => unanswered.leave());
  return unanswered;
}
