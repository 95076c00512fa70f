import { createNonce } from "../headers/csp/nonce.js";
import { appendLimitFields } from "../limits/header-fields.js";
import type { Passage } from "./passage.js";
import type { Policy } from "./policy.js";

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
 * Appends what the security layer adds to the head of a response beside the lines that are the same for every
 * response of the route, as names and values in turn.
 *
 * Called once a response, at the moment its head is written. The host leaves out what the handler
 * set itself, and what `removeHeaders` names.
 *
 * @param head the list to append to
 * @param status the status of the response
 * @param cookie the session cookie to set, when there is one
 */
export function appendChangingLines(
  head: unknown[],
  status: number,
  passage: Passage,
  cookie: string | undefined,
): void {
  const { headers, cors } = passage.route;
  if (headers !== undefined && headers.nonceLines.length > 0 && status !== NOT_MODIFIED) {
    const nonce = passage.cspNonce;
    for (const line of headers.nonceLines) head.push(line.name, line.value(nonce));
  }
  if (cors !== undefined) {
    for (const line of cors.linesFor(passage.view.header("origin"))) head.push(line);
    // Caches must know what decides about these lines (RFC 9110 section 12.5.5).
    head.push("Vary", "Origin");
  }
  if (passage.limits !== undefined) appendLimitFields(head, passage.limits.verdicts);
  // A response that sets a session cookie must not be served to anybody else: RFC 9111 section 7.3.
  if (cookie !== undefined) head.push("Set-Cookie", cookie, "Cache-Control", "no-store");
  // Nor one that depends on who asked. The browser of who asked may keep it.
  else if (passage.usesSession) head.push("Cache-Control", "private");
}

/**
 * The names of several `Vary`: each once, and nothing beside `*`, which says more.
 *
 * @param values names, separated by commas
 */
export function joinVary(values: readonly string[]): string {
  const names = new Map<string, string>();
  for (const value of values) {
    for (const part of value.split(",")) {
      const name = part.trim();
      if (name !== "" && !names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
    }
  }
  return names.has("*") ? "*" : [...names.values()].join(", ");
}

/** What is left of the layer's lines beside what a handler set itself. */
export interface LinesBeside {
  /** Lines to add, as names and values in turn. */
  readonly lines: readonly string[];
  /** Cookies to add to those that are there. */
  readonly cookies: readonly string[];
  /** Names to add to `Vary`. */
  readonly vary: readonly string[];
}

/**
 * The lines that the layer adds to a response on which a handler has set fields: those win, except that cookies are
 * added to cookies and `Vary` to `Vary`.
 *
 * @param has whether the handler has set a field, by its name in lower case
 */
export function linesBeside(
  has: (name: string) => boolean,
  status: number,
  passage: Passage,
  cookie: string | undefined,
): LinesBeside {
  const ours = securityLines(status, passage, cookie);
  const hasOwnCors = has("access-control-allow-origin");
  const lines: string[] = [];
  const cookies: string[] = [];
  const vary: string[] = [];
  for (let index = 0; index < ours.length; index += 2) {
    const name = ours[index] ?? "";
    const value = ours[index + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "set-cookie") cookies.push(value);
    else if (lower === "vary") vary.push(value);
    else if (!has(lower) && !(hasOwnCors && isCorsField(lower))) lines.push(name, value);
  }
  return { lines, cookies, vary };
}

/** Whether a line is of CORS, and has no meaning beside those that a handler set itself. */
export function isCorsField(lowerCaseName: string): boolean {
  return lowerCaseName.startsWith("access-control-");
}

/** All lines that the security layer adds to a head, as a list of its own. */
export function securityLines(status: number, passage: Passage, cookie: string | undefined): string[] {
  const lines = [...(passage.route.headers?.lines ?? [])];
  appendChangingLines(lines, status, passage, cookie);
  return lines;
}

/**
 * The security headers of an answer that is written before there is a request: to what is not even HTTP.
 *
 * @param origin the value of `Origin`, where that much is known
 */
export function securityLinesWithoutRequest({ headers, cors }: Policy, origin?: string): string[] {
  const lines = [...(headers?.lines ?? [])];
  const nonceLines = headers?.nonceLines ?? [];
  const nonce = nonceLines.length > 0 ? createNonce() : "";
  for (const line of nonceLines) lines.push(line.name, line.value(nonce));
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
export function cookieBeside(cacheControl: unknown, passage: Passage, cookie: string | undefined): string | undefined {
  if (cookie === undefined || cacheControl === undefined || passage.usesSession) return cookie;
  const directives = String(cacheControl);
  return SHARED.test(directives) && !NOT_SHARED.test(directives) ? undefined : cookie;
}
