import type { Server as HttpServer } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import { PROBLEM_CONTENT_TYPE } from "../../core/problem.js";
import { securityLinesWithoutRequest } from "../../policy/head.js";
import type { Security } from "../../policy/security.js";

/** Within so many milliseconds a whole request must have come, its body included, unless the application says otherwise. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;

/** Longer timers end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A server with the field that Node has for HTTP/1, also where it speaks HTTP/2 beside it. */
type TimedServer = Pick<HttpServer, "requestTimeout" | "headersTimeout">;

/**
 * Ends requests that do not come in time with 408: those of HTTP/1 through Node, streams of HTTP/2 here.
 *
 * @param server the server of a Fastify instance
 * @param timeoutMs milliseconds; 0: no bound
 */
export function boundRequestTime(server: object, timeoutMs: number, security: () => Security): void {
  if (isTimed(server)) {
    server.requestTimeout = timeoutMs;
    // Node takes the longer of the two for the whole request.
    if (timeoutMs > 0) server.headersTimeout = Math.min(server.headersTimeout, timeoutMs);
  }
  if (timeoutMs === 0 || !("updateSettings" in server) || !("on" in server) || typeof server.on !== "function") return;
  server.on("stream", (stream: ServerHttp2Stream) => {
    if (stream.endAfterHeaders) return;
    const timer = setTimeout(() => endLateStream(stream, security()), Math.min(timeoutMs, LONGEST_TIMER_MS)).unref();
    stream.once("close", () => clearTimeout(timer));
  });
}

function isTimed(server: object): server is TimedServer {
  return "requestTimeout" in server && "headersTimeout" in server;
}

/** A stream that has its answer goes on: it is no request in progress any more. */
function endLateStream(stream: ServerHttp2Stream, security: Security): void {
  if (stream.destroyed || stream.headersSent || hasEnded(stream)) return;
  const fields = securityLinesWithoutRequest(security.policy);
  const headers: Record<string, string> = { "content-type": PROBLEM_CONTENT_TYPE };
  for (let index = 0; index < fields.length; index += 2) {
    headers[String(fields[index]).toLowerCase()] = String(fields[index + 1]);
  }
  stream.respond({ ":status": 408, ...headers });
  // A whole answer before the request has ended: the client is told to stop (RFC 9113 section 8.1).
  stream.end(JSON.stringify({ type: "about:blank", title: "Request Timeout", status: 408 }), () => {
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

/** Whether the client has sent all, though perhaps nobody has read it. */
function hasEnded({ state }: ServerHttp2Stream): boolean {
  return state.state === constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE;
}
