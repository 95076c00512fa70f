import {
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  type ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from "node:http";
import type { Refusal } from "../../core/problem.js";
import {
  appendChangingLines,
  cookieBeside,
  isPolicyWithNonce,
  joinVary,
  linesBeside,
  NOT_MODIFIED,
} from "../../policy/head.js";
import type { Passage } from "../../policy/passage.js";
import { watchClient } from "../client-watch.js";
import type { NodeRequest } from "../node-request.js";
import { holdUntilSaved } from "./hold-until-saved.js";
import { plainWriteHead, prepareLines, withoutPreparedLines } from "./prepared-lines.js";
import { forgetReason, type GuardedResponse, isHttp2, kCookie, kPassage, kWriteHead } from "./response.js";
import { endWithUpgrade } from "./upgrade.js";

/** What `writeHead` takes: an object, or a flat list of names and values. */
type GivenHeaders = OutgoingHttpHeaders | readonly OutgoingHttpHeader[];

/**
 * Ties a request, its response and its passage together: the response writes the security headers with its head,
 * whoever writes the head and whenever, and the passage ends with it, or with the connection.
 *
 * `writeHead` is the one door that every response goes through, so nothing that a framework or a
 * handler does leaves without them. One function serves all responses; none is made per request.
 */
export function guardResponse(raw: NodeRequest, response: GuardedResponse, passage: Passage): void {
  response[kPassage] = passage;
  response[kWriteHead] = response.writeHead;
  response.writeHead = writeSecuredHead;
  // Node's own goes past every `writeHead` that was put in its place.
  if (response.writeHeader !== undefined) response.writeHeader = writeHeadByItsOldName;
  const request: ServerResponse["req"] | undefined = response.req;
  if (request !== undefined && "upgrade" in request && request.upgrade === true) endWithUpgrade(response);
  if (passage.inFlight !== undefined) watchClient(raw, passage.inFlight);
  if (passage.policy.sessions?.store !== undefined) holdUntilSaved(response, passage);
}

/** Writes a refusal from its prepared parts, unless a time-out or the like has answered while a store was asked. */
export function writeRefusal(response: ServerResponse, { status, headers, body }: Refusal): void {
  if (response.headersSent) return;
  // Ours makes a list of its own. What others have put before it may want to change the one that it is given.
  const isOurs = response.writeHead === writeSecuredHead;
  response.writeHead(status, isOurs ? (headers as string[]) : [...headers]);
  response.end(body);
}

/** The passage of the request that a guarded response answers. */
export function passageOf(response: GuardedResponse): Passage | undefined {
  return response[kPassage];
}

function writeSecuredHead<Response extends GuardedResponse>(
  this: Response,
  status: number,
  reasonOrHeaders?: string | GivenHeaders,
  headers?: GivenHeaders,
): Response {
  const passage = this[kPassage];
  const writeHead = this[kWriteHead];
  if (passage === undefined || writeHead === undefined) throw new Error("this response is not guarded");
  const hasReason = typeof reasonOrHeaders === "string";
  const given = flatten(hasReason ? headers : (reasonOrHeaders ?? headers));
  const isPlain = writeHead === plainWriteHead;
  if (!isPlain && isHttp2(this)) requireWritable(given);
  // A second head is an error of the caller; Node says so. A status may be text, which Node reads as a number.
  const isFirst = !this.headersSent;
  const head = isFirst ? complete(this, Number(status), given, passage) : given;
  try {
    // Node's own takes the list. Whoever else stands there (a middleware that watches heads, an adapter of a
    // cloud function, a test double, another runtime) may take a list for something else, or look at what is
    // set: the fields are set one by one for those, which is what all of them know.
    const takesList = isPlain || !isFirst;
    if (!takesList) setFields(this, head);
    if (hasReason)
      Reflect.apply(writeHead, this, takesList ? [status, reasonOrHeaders, head] : [status, reasonOrHeaders]);
    else if (takesList) writeHead.call(this, status, head);
    else writeHead.call(this, status);
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
  passage: Passage,
): OutgoingHttpHeader[] {
  const head = status === NOT_MODIFIED ? withoutNonces(response, given) : given;
  const cookie = passage.policy.sessions === undefined ? undefined : sessionCookie(response, head, passage);
  passage.inFlight?.leave(true);
  const { contestedFields, contestedBesideCookie, headerText, headers } = passage.route;
  const setsCacheControl = cookie !== undefined || passage.usesSession;
  if (
    response.getHeaderNames().length > 0 ||
    isContested(head, setsCacheControl ? contestedBesideCookie : contestedFields)
  ) {
    return besideOwnFields(response, status, head, passage, cookie);
  }
  // The usual case: one list, nothing to compare, and what is the same every time is text already.
  const isPrepared = prepareLines(response, response[kWriteHead], headerText);
  // In the same order: the heads of one process are alike from the first on.
  const lines = isPrepared ? head : [...(headers?.lines ?? []), ...head];
  appendChangingLines(lines, status, passage, cookie);
  return lines;
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
  passage: Passage,
): string | undefined {
  if (passage.policy.sessions?.store === undefined) {
    const cookie = passage.commitSession();
    // Kept for the next head, in case Node refuses this one for a value in it: the session is saved once.
    if (typeof cookie === "string") response[kCookie] = cookie;
  }
  const cookie = response[kCookie];
  return cookie === undefined ? undefined : cookieBeside(cacheControlOf(response, head), passage, cookie);
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
  if (Array.isArray(given)) {
    // `isArray` does not know lists that are read-only.
    const list = given as readonly OutgoingHttpHeader[];
    // Pairs in lists of their own, or one flat list, in which a value can be a list too.
    return Array.isArray(list[0]) ? list.flat() : [...list];
  }
  const fields = given as OutgoingHttpHeaders;
  const flat: OutgoingHttpHeader[] = [];
  for (const name in fields) {
    const value = fields[name];
    if (value !== undefined && Object.hasOwn(fields, name)) flat.push(name, value);
  }
  return flat;
}

/**
 * The head where the handler has set fields that we may add too, with it or before with `setHeader`, as Express does.
 * Node merges the two: ours must not replace what was set before, and what is given with the head does.
 */
function besideOwnFields(
  response: GuardedResponse,
  status: number,
  own: readonly OutgoingHttpHeader[],
  passage: Passage,
  cookie: string | undefined,
): OutgoingHttpHeader[] {
  const removed = passage.route.headers?.removed ?? [];
  for (const name of removed) response.removeHeader(name);
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
  const ours = linesBeside((name) => names.has(name) || response.hasHeader(name), status, passage, cookie);
  head.push(...ours.lines);
  if (ours.vary.length > 0 && !names.has("vary")) vary.push(...toList(response.getHeader("vary") ?? []));
  vary.push(...ours.vary);
  if (vary.length > 0) head.push("Vary", joinVary(vary));
  cookies.push(...ours.cookies);
  // One list value: HTTP/2 replaces a field that is set twice. Of a head that was refused, cookies may be set already.
  const before = response.getHeader("set-cookie");
  if (cookies.length > 0) {
    head.push("Set-Cookie", before === undefined ? cookies : [...new Set([...toList(before), ...cookies])]);
  }
  return head;
}

function toList(value: OutgoingHttpHeader): string[] {
  return Array.isArray(value) ? value : [String(value)];
}
