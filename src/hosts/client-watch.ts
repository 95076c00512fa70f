import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { ClientWatch, InFlight } from "../overload/in-flight.js";
import { awaitBody } from "./awaited-body.js";
import { isClientGone, isHttp2, type NodeRequest } from "./node-request.js";

const kUnanswered = Symbol("cello.unanswered");

/** A connection that knows which of its requests are not answered yet. */
interface WatchedSocket extends Socket {
  [kUnanswered]?: Unanswered;
}

/** A stream that knows its request. */
interface WatchedStream extends ServerHttp2Stream {
  [kUnanswered]?: InFlight;
}

/** The requests of a connection that are not answered yet: one, unless the client sends ahead of the answers. */
class Unanswered implements ClientWatch {
  #one: InFlight | undefined = undefined;
  readonly #others = new Set<InFlight>();

  add(request: InFlight): void {
    request.watch = this;
    // A set that is filled and emptied for every request would be most of the cost of watching.
    if (this.#one === undefined) this.#one = request;
    else this.#others.add(request);
  }

  forget(request: InFlight): void {
    if (this.#one === request) this.#one = undefined;
    else this.#others.delete(request);
  }

  leave(): void {
    this.#one?.leaveUnanswered();
    for (const request of this.#others) request.leaveUnanswered();
  }
}

/**
 * Makes a request leave when its client goes away, and wait while its body is on the way. What it left would count as in progress for ever
 * otherwise. A client that has gone already leaves at once: Node hands over what it has read of a
 * connection even when that is destroyed by then.
 *
 * One listener for a connection and not one for a response: of pipelined requests only the first
 * response is told that the connection has closed.
 */
export function watchClient(raw: NodeRequest, request: InFlight): void {
  if (isClientGone(raw)) request.leaveUnanswered();
  else if (isHttp2(raw)) watchStream(raw.stream, request);
  else watchSocket(raw.socket, request);
  // Whoever takes the connection over for another protocol writes to the socket, and keeps it for hours.
  if ("upgrade" in raw && raw.upgrade === true) request.leavesWhenDecided = true;
  awaitBody(raw, request);
}

function watchSocket(socket: WatchedSocket | undefined, request: InFlight): void {
  if (typeof socket?.once !== "function") return;
  let unanswered = socket[kUnanswered];
  if (unanswered === undefined) {
    unanswered = new Unanswered();
    socket[kUnanswered] = unanswered;
    socket.once("close", leaveSocket);
  }
  unanswered.add(request);
}

function watchStream(stream: WatchedStream, request: InFlight): void {
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
