import type { SecuredRequest } from "./secured-request.js";

/**
 * What the security layer adds to the head of a response: a flat list of names and values.
 *
 * Called once a response, at the moment its head is written. The host leaves out what the handler
 * set itself, and what `removeHeaders` names.
 *
 * @param cookie the session cookie to set, when there is one
 */
export function securityLines(request: SecuredRequest, cookie: string | undefined): string[] {
  const { headers } = request.route;
  const lines = headers === undefined ? [] : headers.lines.slice();
  if (headers?.usesNonce === true) {
    const nonce = request.cspNonce;
    for (const line of headers.nonceLines) lines.push(line.name, line.value(nonce));
  }
  if (request.limits !== undefined) lines.push(...request.limits.headers);
  // A response that sets a session cookie must not be served to anybody else: RFC 9111 section 7.3.
  if (cookie !== undefined) lines.push("Set-Cookie", cookie, "Cache-Control", "no-store");
  return lines;
}
