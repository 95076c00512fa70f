import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Presence, SecuredRequest } from "../policy/passage.js";

/** A request of Node's HTTP/1 or HTTP/2 server. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

const kUnanswered = Symbol("cello.unanswered");

/** A connection that knows which of its requests are not answered yet. */
interface WatchedSocket extends Socket {
  [kUnanswered]?: Unanswered;
}

/** A stream that knows its request. */
interface WatchedStream extends ServerHttp2Stream {
  [kUnanswered]?: SecuredRequest;
}

/** The requests of a connection that are not answered yet: one, unless the client sends ahead of the answers. */
class Unanswered implements Presence {
  #one: SecuredRequest | undefined = undefined;
  readonly #others = new Set<SecuredRequest>();

  add(request: SecuredRequest): void {
    request.presence = this;
    // A set that is filled and emptied for every request would be most of the cost of watching.
    if (this.#one === undefined) this.#one = request;
    else this.#others.add(request);
  }

  forget(request: SecuredRequest): void {
    if (this.#one === request) this.#one = undefined;
    else this.#others.delete(request);
  }

  leave(): void {
    this.#one?.leaveUnanswered();
    for (const request of this.#others) request.leaveUnanswered();
  }
}

/** Whether a request came over HTTP/2, where each has a stream of its own. */
export function isHttp2(raw: NodeRequest): raw is Http2ServerRequest {
  return raw.httpVersionMajor >= 2 && "stream" in raw;
}

/** Whether the client of a request has closed its connection, or its stream. */
export function isClientGone(raw: NodeRequest): boolean {
  if (isHttp2(raw)) return raw.stream.closed || raw.stream.destroyed;
  // Requests that a test injects may have no socket, or an object that only looks like one.
  return raw.socket?.destroyed === true;
}

/**
 * Makes a request leave when its client goes away. What it left would count as in progress for ever
 * otherwise. A client that has gone already leaves at once: Node hands over what it has read of a
 * connection even when that is destroyed by then.
 *
 * One listener for a connection and not one for a response: of pipelined requests only the first
 * response is told that the connection has closed.
 */
export function leaveWithClient(raw: NodeRequest, request: SecuredRequest): void {
  if (!request.isPresent) return;
  if (isClientGone(raw)) request.leaveUnanswered();
  else if (isHttp2(raw)) watchStream(raw.stream, request);
  else watchSocket(raw.socket, request);
  // Whoever takes the connection over for another protocol writes to the socket, and keeps it for hours.
  if ("upgrade" in raw && raw.upgrade === true) request.leavesWhenDecided = true;
}

function watchSocket(socket: WatchedSocket | undefined, request: SecuredRequest): void {
  if (typeof socket?.once !== "function") return;
  let unanswered = socket[kUnanswered];
  if (unanswered === undefined) {
    unanswered = new Unanswered();
    socket[kUnanswered] = unanswered;
    socket.once("close", leaveSocket);
  }
  unanswered.add(request);
}

function watchStream(stream: WatchedStream, request: SecuredRequest): void {
  stream[kUnanswered] = request;
  stream.once("close", leaveStream);
}

/*
 * One function for all connections and one for all streams: none is made on the request path.
 */

function leaveSocket(this: WatchedSocket): void {
  this[kUnanswered]?.leave();
}

function leaveStream(this: WatchedStream): void {
  this[kUnanswered]?.leaveUnanswered();
}
