import {
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  type ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from "node:http";
import type { Refusal } from "../../core/problem.js";
import {
  addToVary,
  appendChangingLines,
  cookieBeside,
  isCorsField,
  isPolicyWithNonce,
  NOT_MODIFIED,
  securityLines,
} from "../../policy/head.js";
import type { SecuredRequest } from "../../policy/passage.js";
import { canPrepare, isNodesWriteHead, prepareLines, proveLines, withoutPreparedLines } from "./prepared-lines.js";
import { isHttp2 } from "./response.js";

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
  /** The old name of `writeHead`, which Node's own classes still have. */
  writeHeader?: (this: GuardedResponse, ...head: readonly unknown[]) => unknown;
}

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
  // Node's own goes past every `writeHead` that was put in its place.
  if (response.writeHeader !== undefined) response.writeHeader = writeHeadByItsOldName;
  endWithUpgrade(response);
}

/**
 * Nobody reads requests from a connection any more whose client asked for another protocol. Who answers instead
 * of taking it over ends it: the client would keep it otherwise, and a server that closes would wait for that.
 */
function endWithUpgrade(response: GuardedResponse): void {
  const { req } = response;
  if (req === undefined || !("upgrade" in req) || req.upgrade !== true) return;
  const { socket } = req;
  response.shouldKeepAlive = false;
  response.once("finish", () => socket.end(() => socket.destroy()));
}

/** Writes a refusal from its prepared parts, unless a time-out or the like has answered while a store was asked. */
export function writeRefusal(response: ServerResponse, { status, headers, body }: Refusal): void {
  if (response.headersSent) return;
  response.writeHead(status, [...headers]);
  response.end(body);
}

/** The request that a guarded response answers. */
export function securedRequestOf(response: GuardedResponse): SecuredRequest | undefined {
  return response[kSecured];
}

/** Keeps the session cookie of an asynchronous save until the head is written. */
export function setSessionCookie(response: GuardedResponse, cookie: string | undefined): void {
  response[kCookie] = cookie;
}

/** Drops the reason phrase of a head that was not sent, so that the next one gets that of its own status. */
export function forgetReason(response: GuardedResponse): void {
  // HTTP/2 has no reason phrases, and Node warns who sets one.
  if (!response.headersSent && !isHttp2(response)) response.statusMessage = "";
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
  const hasReason = typeof reasonOrHeaders === "string";
  const reason = hasReason ? reasonOrHeaders : undefined;
  const head = flatten(hasReason ? headers : (reasonOrHeaders ?? headers));
  if (isHttp2(this)) requireWritable(head);
  // A second head is an error of the caller; Node says so. A status may be text, which Node reads as a number.
  const completed = this.headersSent ? head : complete(this, Number(status), head, request);
  try {
    passOn(this, writeHead, status, reason, completed);
  } catch (error) {
    // Node refuses a head for a character in it, and has taken over its reason phrase by then.
    forgetReason(this);
    withoutPreparedLines(this);
    throw error;
  }
  return this;
}

function writeHeadByItsOldName(this: GuardedResponse, ...head: readonly unknown[]): GuardedResponse {
  Reflect.apply(this.writeHead, this, head);
  return this;
}

/**
 * Hands the completed head on to the `writeHead` that was there before.
 *
 * Node's own takes the list. Whoever else stands there (a middleware that watches heads, an adapter of a
 * cloud function, a test double, another runtime) may take a list for something else, or look at what is
 * set: the fields are set one by one for those, which is what all of them know.
 */
function passOn(
  response: GuardedResponse,
  writeHead: ServerResponse["writeHead"],
  status: number,
  reason: string | undefined,
  head: OutgoingHttpHeader[],
): void {
  let fields: OutgoingHttpHeader[] | undefined = head;
  if (!isNodesWriteHead(writeHead) && !response.headersSent) {
    setFields(response, head);
    fields = undefined;
  }
  if (reason !== undefined)
    Reflect.apply(writeHead, response, fields === undefined ? [status, reason] : [status, reason, fields]);
  else if (fields === undefined) writeHead.call(response, status);
  else writeHead.call(response, status, fields);
}

function setFields(response: ServerResponse, head: readonly OutgoingHttpHeader[]): void {
  const fields = new Map<string, OutgoingHttpHeader>();
  const names = new Map<string, string>();
  for (let index = 0; index < head.length; index += 2) {
    const name = String(head[index]);
    const key = name.toLowerCase();
    const value = head[index + 1] ?? "";
    const before = fields.get(key);
    fields.set(key, before === undefined ? value : [...toList(before), ...toList(value)]);
    if (before === undefined) names.set(key, name);
  }
  for (const [key, value] of fields) response.setHeader(names.get(key) ?? key, value);
}

/**
 * Node looks for line breaks in the headers of HTTP/1 only. In HTTP/2 they split nothing, until a proxy
 * translates (RFC 9113 section 10.3).
 */
function requireWritable(head: readonly OutgoingHttpHeader[]): void {
  for (let index = 0; index < head.length; index += 2) {
    const name = String(head[index]);
    validateHeaderName(name);
    for (const value of toList(head[index + 1] ?? "")) validateHeaderValue(name, value);
  }
}

/** Adds our lines to the head that the handler gave. */
function complete(
  response: GuardedResponse,
  status: number,
  given: OutgoingHttpHeader[],
  request: SecuredRequest,
): OutgoingHttpHeader[] {
  const head = status === NOT_MODIFIED ? withoutNonces(response, given) : given;
  const cookie = sessionCookie(response, head, request);
  request.leave(true);
  if (response.getHeaderNames().length > 0) return besideSetHeaders(response, status, head, request, cookie);
  const { contestedFields, contestedBesideCookie, headerText } = request.route;
  const setsCacheControl = cookie !== undefined || request.usesSession;
  if (isContested(head, setsCacheControl ? contestedBesideCookie : contestedFields)) {
    return merged(head, securityLines(status, request, cookie), request.route.headers?.removed ?? []);
  }
  // The usual case: one list, nothing to compare, and what is the same every time is text already.
  if (canPrepare(response, response[kWriteHead])) {
    prepareLines(response, headerText);
    appendChangingLines(head, status, request, cookie);
  } else {
    proveLines(response, response[kWriteHead]);
    // In the same order: the heads of one process are alike from the first on.
    const lines: OutgoingHttpHeader[] = [...(request.route.headers?.lines ?? []), ...head];
    appendChangingLines(lines, status, request, cookie);
    return lines;
  }
  return head;
}

/** The head of a 304 without policies that hold a nonce, those that were set before included. */
function withoutNonces(response: GuardedResponse, head: readonly OutgoingHttpHeader[]): OutgoingHttpHeader[] {
  for (const name of response.getHeaderNames()) {
    if (isPolicyWithNonce(name, response.getHeader(name))) response.removeHeader(name);
  }
  const left: OutgoingHttpHeader[] = [];
  for (let index = 0; index < head.length; index += 2) {
    const value = head[index + 1] ?? "";
    if (!isPolicyWithNonce(String(head[index]).toLowerCase(), value)) left.push(head[index] ?? "", value);
  }
  return left;
}

function isContested(head: readonly OutgoingHttpHeader[], fields: ReadonlySet<string>): boolean {
  for (let index = 0; index < head.length; index += 2) {
    if (fields.has(String(head[index]).toLowerCase())) return true;
  }
  return false;
}

function sessionCookie(
  response: GuardedResponse,
  head: readonly OutgoingHttpHeader[],
  request: SecuredRequest,
): string | undefined {
  const { sessions } = request.security;
  if (sessions === undefined) return undefined;
  if (!sessions.canFail) {
    const cookie = request.commitSession();
    // Kept for the next head, in case Node refuses this one for a value in it: the session is saved once.
    if (typeof cookie === "string") response[kCookie] = cookie;
  }
  const cookie = response[kCookie];
  return cookie === undefined ? undefined : cookieBeside(cacheControlOf(response, head), request, cookie);
}

/** The handler's own `Cache-Control`. */
function cacheControlOf(response: GuardedResponse, head: readonly OutgoingHttpHeader[]): unknown {
  for (let index = 0; index < head.length; index += 2) {
    if (String(head[index]).toLowerCase() === "cache-control") return head[index + 1];
  }
  return response.getHeader("cache-control");
}

/** A flat copy of the headers that were given to `writeHead`. */
function flatten(given: GivenHeaders | undefined): OutgoingHttpHeader[] {
  if (given === undefined) return [];
  // Pairs in lists of their own, or one flat list, in which a value can be a list too.
  if (isList(given)) return Array.isArray(given[0]) ? given.flat() : [...given];
  const flat: OutgoingHttpHeader[] = [];
  for (const name in given) {
    const value = given[name];
    if (value !== undefined && Object.hasOwn(given, name)) flat.push(name, value);
  }
  return flat;
}

function isList(given: GivenHeaders): given is readonly OutgoingHttpHeader[] {
  return Array.isArray(given);
}

/** Own fields win over our lines, except that cookies are added to cookies and `Vary` to `Vary`. */
function merged(
  own: readonly OutgoingHttpHeader[],
  lines: readonly string[],
  removed: readonly string[],
): OutgoingHttpHeader[] {
  const head: OutgoingHttpHeader[] = [];
  const cookies: string[] = [];
  const vary: string[] = [];
  const names = new Set<string>();
  for (let index = 0; index < own.length; index += 2) {
    const name = String(own[index]);
    const value = own[index + 1];
    const lower = name.toLowerCase();
    if (value === undefined || removed.includes(lower)) continue;
    if (lower === "set-cookie") cookies.push(...toList(value));
    else if (lower === "vary") vary.push(...toList(value));
    else head.push(name, value);
    names.add(lower);
  }
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? "";
    const value = lines[index + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "set-cookie") cookies.push(value);
    else if (lower === "vary") vary.push(value);
    else if (names.has("access-control-allow-origin") && isCorsField(lower)) continue;
    else if (!names.has(lower)) head.push(name, value);
  }
  if (vary.length > 0) head.push("Vary", addToVary(vary, ""));
  // One list value: HTTP/2 replaces a field that is set twice.
  if (cookies.length > 0) head.push("Set-Cookie", cookies);
  return head;
}

/** When fields were set before with `setHeader`, as Express does: Node merges, so ours must not replace those. */
function besideSetHeaders(
  response: GuardedResponse,
  status: number,
  own: readonly OutgoingHttpHeader[],
  request: SecuredRequest,
  cookie: string | undefined,
): OutgoingHttpHeader[] {
  const removed = request.route.headers?.removed ?? [];
  for (const name of removed) response.removeHeader(name);
  const head = merged(own, securityLines(status, request, cookie), removed);
  const ownNames = new Set<string>();
  for (let index = 0; index < own.length; index += 2) ownNames.add(String(own[index]).toLowerCase());
  const hasOwnCors = response.hasHeader("access-control-allow-origin");
  const result: OutgoingHttpHeader[] = [];
  for (let index = 0; index < head.length; index += 2) {
    const name = String(head[index]);
    const value = head[index + 1] ?? "";
    const before = response.getHeader(name);
    const lower = name.toLowerCase();
    if (before === undefined) {
      if (ownNames.has(lower) || !hasOwnCors || !isCorsField(lower)) result.push(name, value);
    }
    // A set: the fields of a head that was refused may be set already.
    else if (lower === "set-cookie") result.push(name, [...new Set([...toList(before), ...toList(value)])]);
    // What is given with the head replaces what was set before, with Node as well.
    else if (lower === "vary" && !ownNames.has(lower)) result.push(name, addToVary(toList(before), String(value)));
    else if (ownNames.has(lower)) result.push(name, value);
  }
  return result;
}

function toList(value: OutgoingHttpHeader): string[] {
  return Array.isArray(value) ? value : [String(value)];
}
