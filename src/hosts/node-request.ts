import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";

/** A request of Node's HTTP/1 or HTTP/2 server. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** Whether a request came over HTTP/2, where each has a stream of its own. */
export function isHttp2(raw: NodeRequest): raw is Http2ServerRequest {
  return raw.httpVersionMajor >= 2 && "stream" in raw;
}

/** Whether the client of a request has closed its connection, or its stream. */
export function isClientGone(raw: NodeRequest): boolean {
  // As `isHttp2` says, without the call: this is asked for each request.
  if (raw.httpVersionMajor >= 2 && "stream" in raw) return raw.stream.closed || raw.stream.destroyed;
  // Requests that a test injects may have no socket, or an object that only looks like one.
  return raw.socket?.destroyed === true;
}
