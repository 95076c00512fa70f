import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { securityLines } from "../../response-head.js";
import type { SecuredRequest } from "../../secured-request.js";

const kSecured = Symbol("cello.secured");
const kWriteHead = Symbol("cello.writeHead");
const kCookie = Symbol("cello.cookie");

/** What `writeHead` takes: an object, or a flat list of names and values. */
type GivenHeaders = OutgoingHttpHeaders | readonly OutgoingHttpHeader[];

/** A response whose head the security layer completes. */
export interface GuardedResponse extends ServerResponse {
  [kSecured]?: SecuredRequest;
  [kWriteHead]?: ServerResponse["writeHead"];
  [kCookie]?: string | undefined;
}

/** Fields that the layer may add beside the configured ones; a handler's own value wins for these too. */
const ADDED_FIELDS: ReadonlySet<string> = new Set([
  "cache-control",
  "ratelimit",
  "ratelimit-policy",
  "set-cookie",
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
]);

/**
 * Makes a response write the security headers with its head, whoever writes the head and whenever.
 *
 * `writeHead` is the one door that every response goes through, so nothing that a framework or a
 * handler does leaves without them. One function serves all responses; none is made per request.
 */
export function guardResponse(response: GuardedResponse, request: SecuredRequest): void {
  response[kSecured] = request;
  response[kWriteHead] = response.writeHead;
  response.writeHead = writeSecuredHead;
}

/** The request that a guarded response answers. */
export function securedRequestOf(response: GuardedResponse): SecuredRequest | undefined {
  return response[kSecured];
}

/** Keeps the session cookie of an asynchronous save until the head is written. */
export function setSessionCookie(response: GuardedResponse, cookie: string | undefined): void {
  response[kCookie] = cookie;
}

function writeSecuredHead<Response extends GuardedResponse>(
  this: Response,
  status: number,
  reasonOrHeaders?: string | GivenHeaders,
  headers?: GivenHeaders,
): Response {
  const request = this[kSecured];
  const writeHead = this[kWriteHead];
  if (request === undefined || writeHead === undefined) throw new Error("this response is not guarded");
  // A second head is an error of the caller; Node says so.
  const lines = this.headersSent ? [] : securityLines(request, sessionCookie(this, request));
  recordLatency(request);
  const hasReason = typeof reasonOrHeaders === "string";
  const own = flatten(hasReason ? headers : (reasonOrHeaders ?? headers));
  const head =
    this.getHeaderNames().length === 0 ? joined(own, lines, request) : besideSetHeaders(this, own, lines, request);
  Reflect.apply(writeHead, this, hasReason ? [status, reasonOrHeaders, head] : [status, head]);
  return this;
}

function sessionCookie(response: GuardedResponse, request: SecuredRequest): string | undefined {
  const session = request.openedSession;
  if (session === undefined) return undefined;
  const { sessions } = request.security;
  if (sessions === undefined || !sessions.isSynchronous) return response[kCookie];
  const cookie = sessions.commit(session);
  return cookie instanceof Promise ? undefined : cookie;
}

function recordLatency(request: SecuredRequest): void {
  if (request.arrivedAtMs === 0) return;
  request.security.load.record(request.security.clock.monotonicMs() - request.arrivedAtMs);
}

/** A flat copy of the headers that were given to `writeHead`. */
function flatten(given: GivenHeaders | undefined): OutgoingHttpHeader[] {
  if (given === undefined) return [];
  if (Array.isArray(given)) return given.flat();
  const flat: OutgoingHttpHeader[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) flat.push(name, value);
  }
  return flat;
}

/** The usual case, one flat list: what the handler gave, then our lines that it did not set itself. */
function joined(own: OutgoingHttpHeader[], lines: string[], request: SecuredRequest): OutgoingHttpHeader[] {
  const { headers } = request.route;
  let isDisjoint = true;
  for (let index = 0; index < own.length; index += 2) {
    const name = String(own[index]).toLowerCase();
    if (headers?.names.has(name) === true || headers?.removed.includes(name) === true || ADDED_FIELDS.has(name)) {
      isDisjoint = false;
      break;
    }
  }
  return isDisjoint ? [...own, ...lines] : merged(own, lines, headers?.removed ?? []);
}

/** Own fields win over our lines, except that cookies are added to cookies. */
function merged(
  own: readonly OutgoingHttpHeader[],
  lines: readonly string[],
  removed: readonly string[],
): OutgoingHttpHeader[] {
  const head: OutgoingHttpHeader[] = [];
  const cookies: string[] = [];
  const names = new Set<string>();
  for (let index = 0; index < own.length; index += 2) {
    const name = String(own[index]);
    const value = own[index + 1];
    const lower = name.toLowerCase();
    if (value === undefined || removed.includes(lower)) continue;
    if (lower === "set-cookie") cookies.push(...toList(value));
    else head.push(name, value);
    names.add(lower);
  }
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? "";
    const value = lines[index + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "set-cookie") cookies.push(value);
    else if (!names.has(lower)) head.push(name, value);
  }
  // One list value: HTTP/2 replaces a field that is set twice.
  if (cookies.length > 0) head.push("Set-Cookie", cookies);
  return head;
}

/** When fields were set before with `setHeader`, as Express does: Node merges, so ours must not replace those. */
function besideSetHeaders(
  response: GuardedResponse,
  own: readonly OutgoingHttpHeader[],
  lines: readonly string[],
  request: SecuredRequest,
): OutgoingHttpHeader[] {
  const removed = request.route.headers?.removed ?? [];
  for (const name of removed) response.removeHeader(name);
  const head = merged(own, lines, removed);
  const ownNames = new Set<string>();
  for (let index = 0; index < own.length; index += 2) ownNames.add(String(own[index]).toLowerCase());
  const result: OutgoingHttpHeader[] = [];
  for (let index = 0; index < head.length; index += 2) {
    const name = String(head[index]);
    const value = head[index + 1] ?? "";
    const before = response.getHeader(name);
    if (name.toLowerCase() === "set-cookie" && before !== undefined)
      result.push(name, [...toList(before), ...toList(value)]);
    else if (before === undefined || ownNames.has(name.toLowerCase())) result.push(name, value);
  }
  return result;
}

function toList(value: OutgoingHttpHeader): string[] {
  return Array.isArray(value) ? value : [String(value)];
}
