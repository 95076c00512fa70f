import type { ServerResponse } from "node:http";
import type { Passage } from "../../policy/passage.js";

/** Where a guarded response keeps its passage, the `writeHead` that it had, and the session cookie to be sent. */
export const kPassage = Symbol("cello.passage");
export const kWriteHead = Symbol("cello.writeHead");
export const kCookie = Symbol("cello.cookie");

/** A response whose head the security layer completes. */
export interface GuardedResponse extends ServerResponse {
  [kPassage]?: Passage;
  [kWriteHead]?: ServerResponse["writeHead"];
  [kCookie]?: string | undefined;
  /** The old name of `writeHead`, which Node's own classes still have. */
  writeHeader?: (this: GuardedResponse, ...head: readonly unknown[]) => unknown;
}

/** Drops the reason phrase of a head that was not sent, so that the next one gets that of its own status. */
export function forgetReason(response: GuardedResponse): void {
  // HTTP/2 has no reason phrases, and Node warns who sets one.
  if (!response.headersSent && !isHttp2(response)) response.statusMessage = "";
}

/** Whether a response is one of HTTP/2. The doubles of tests may not know their request. */
export function isHttp2(response: ServerResponse): boolean {
  const request: ServerResponse["req"] | undefined = response.req;
  return request !== undefined && request.httpVersionMajor >= 2;
}

/** What the security layer needs of a response, to write its fields with the head. */
const NEEDED = [
  "writeHead",
  "write",
  "end",
  "setHeader",
  "getHeader",
  "hasHeader",
  "getHeaderNames",
  "removeHeader",
] as const;

/**
 * Whether a response has a head that fields can be added to. Not every object that middleware is given
 * has: for the handshake of a WebSocket, engine.io gives one with half of these methods.
 */
export function hasHead(response: ServerResponse): boolean {
  for (let index = 0; index < NEEDED.length; index++) {
    const name = NEEDED[index];
    if (name !== undefined && typeof response[name] !== "function") return false;
  }
  return true;
}
