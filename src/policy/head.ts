import { createNonce } from "../headers/csp/nonce.js";
import type { SecuredRequest } from "./passage.js";
import type { SecurityPolicy } from "./security-policy.js";

/**
 * The fields of a 304 take the place of those that the client keeps with the page (RFC 9111 section
 * 4.3.4): a policy with a fresh nonce would block the scripts of the kept page, which carry the old one.
 */
export const NOT_MODIFIED = 304;

/**
 * Whether a field of a handler's own is a policy that a {@link NOT_MODIFIED} must not carry.
 *
 * @param name in lower case
 */
export function isPolicyWithNonce(name: string, value: unknown): boolean {
  if (name !== "content-security-policy" && name !== "content-security-policy-report-only") return false;
  return /'nonce-/i.test(String(value));
}

/**
 * Appends what the security layer adds to the head of a response, as names and values in turn.
 *
 * Called once a response, at the moment its head is written. The host leaves out what the handler
 * set itself, and what `removeHeaders` names.
 *
 * @param head the list to append to
 * @param status the status of the response
 * @param cookie the session cookie to set, when there is one
 */
function appendSecurityLines(
  head: unknown[],
  status: number,
  request: SecuredRequest,
  cookie: string | undefined,
): void {
  const { headers } = request.route;
  if (headers !== undefined) append(head, headers.lines);
  appendChangingLines(head, status, request, cookie);
}

/** The same without the lines that are the same for every response of the route. */
export function appendChangingLines(
  head: unknown[],
  status: number,
  request: SecuredRequest,
  cookie: string | undefined,
): void {
  const { headers } = request.route;
  if (headers?.usesNonce === true && status !== NOT_MODIFIED) {
    const nonce = request.cspNonce;
    for (const line of headers.nonceLines) head.push(line.name, line.value(nonce));
  }
  const { cors } = request.route;
  if (cors !== undefined) append(head, cors.linesFor(request.view.header("origin")));
  const vary = varyOf(request);
  if (vary !== undefined) head.push("Vary", vary);
  if (request.limits !== undefined) append(head, request.limits.headers);
  // A response that sets a session cookie must not be served to anybody else: RFC 9111 section 7.3.
  if (cookie !== undefined) head.push("Set-Cookie", cookie, "Cache-Control", "no-store");
  // Nor one that depends on who asked. The browser of who asked may keep it.
  else if (request.usesSession) head.push("Cache-Control", "private");
}

/** The request fields that decide about what the layer adds: caches must know (RFC 9110 section 12.5.5). */
function varyOf({ route }: SecuredRequest): string | undefined {
  return route.cors === undefined ? undefined : "Origin";
}

/**
 * A `Vary` that is there already, with further names: each once, and nothing beside `*`, which says more.
 *
 * @param present the values that are there
 * @param added names, separated by commas
 */
export function addToVary(present: readonly string[], added: string): string {
  const names = new Map<string, string>();
  for (const value of [...present, added]) {
    for (const part of value.split(",")) {
      const name = part.trim();
      if (name !== "" && !names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
    }
  }
  return names.has("*") ? "*" : [...names.values()].join(", ");
}

/** Whether a line is of CORS, and has no meaning beside those that a handler set itself. */
export function isCorsField(lowerCaseName: string): boolean {
  return lowerCaseName.startsWith("access-control-");
}

/** The same as a list of its own, for hosts whose heads are no lists. */
export function securityLines(status: number, request: SecuredRequest, cookie: string | undefined): string[] {
  const lines: string[] = [];
  appendSecurityLines(lines, status, request, cookie);
  return lines;
}

/**
 * The security headers of an answer that is written before there is a request: to what is not even HTTP.
 *
 * @param origin the value of `Origin`, where that much is known
 */
export function securityLinesWithoutRequest({ headers, cors }: SecurityPolicy, origin?: string): string[] {
  const lines = [...(headers?.lines ?? [])];
  const nonce = headers?.usesNonce === true ? createNonce() : "";
  for (const line of headers?.nonceLines ?? []) lines.push(line.name, line.value(nonce));
  if (cors !== undefined) lines.push(...cors.linesFor(origin), "Vary", "Origin");
  return lines;
}

/** Lets a shared cache keep the response (RFC 9111 section 3). */
const SHARED = /\bpublic\b|\bs-maxage\b|\bmax-age\s*=\s*"?0*[1-9]/i;
const NOT_SHARED = /\bprivate\b|\bno-store\b/i;

/**
 * The session cookie that may go with a response. When the handler never looked at the session, the
 * cookie is renewed only because the request came, and can wait: a handler that gives its answer to
 * shared caches gives away all its fields.
 *
 * @param cacheControl the handler's own `Cache-Control`
 */
export function cookieBeside(
  cacheControl: unknown,
  request: SecuredRequest,
  cookie: string | undefined,
): string | undefined {
  if (cookie === undefined || cacheControl === undefined || request.usesSession) return cookie;
  const directives = String(cacheControl);
  return SHARED.test(directives) && !NOT_SHARED.test(directives) ? undefined : cookie;
}

/** Measured faster than spreading, which goes through the iterator of the list. */
function append(head: unknown[], lines: readonly string[]): void {
  for (let index = 0; index < lines.length; index++) head.push(lines[index]);
}
