import type { ServerResponse } from "node:http";

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
