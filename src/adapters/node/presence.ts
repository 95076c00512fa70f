import type { ServerResponse } from "node:http";
import type { SecuredRequest } from "../../secured-request.js";

/** The requests of each connection that are not answered yet. */
const unanswered = new WeakMap<object, Set<SecuredRequest>>();

/**
 * Makes a request leave when its client goes away. What it left would count as in progress for ever
 * otherwise.
 *
 * One listener for a connection and not one for a response: of pipelined requests only the first
 * response is told that the connection has closed. In HTTP/2 each response has a stream of its own.
 */
export function leaveWithClient(response: ServerResponse, request: SecuredRequest): void {
  if (request.arrivedAtMs === 0) return;
  const { socket, httpVersionMajor } = response.req;
  if (httpVersionMajor >= 2) {
    response.once("close", () => request.leave(false));
    return;
  }
  if (socket.destroyed) {
    request.leave(false);
    return;
  }
  const known = unanswered.get(socket);
  if (known !== undefined) {
    known.add(request);
    return;
  }
  const requests = new Set([request]);
  unanswered.set(socket, requests);
  socket.once("close", () => {
    for (const left of requests) left.leave(false);
    requests.clear();
  });
}

/** The head of its answer is written. */
export function leaveAnswered(response: ServerResponse, request: SecuredRequest): void {
  request.leave(true);
  if (request.arrivedAtMs !== 0) unanswered.get(response.req.socket)?.delete(request);
}
