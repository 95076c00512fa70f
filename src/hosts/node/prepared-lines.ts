import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

/*
 * The fixed lines of a head as one text, joined to the status line by the private `_storeHeader` of Node. What it saves
 * stands in docs/performance.md, "What was tried": fixed header lines as one text, 13.7 -> 12.5 us.
 */

const kLines = Symbol("cello.preparedLines");

/**
 * Makes the text of a head from its status line and its fields. Node does not document it, and has
 * had it since its first versions.
 */
type StoreHeader = (this: ServerResponse, statusLine: string, fields: unknown) => void;

interface PreparedResponse extends ServerResponse {
  [kLines]?: string;
  _storeHeader?: StoreHeader | undefined;
}

// Not declared by Node's types; whatever is no function is none.
const { _storeHeader } = ServerResponse.prototype as PreparedResponse;
const storeHeader = typeof _storeHeader === "function" ? _storeHeader : undefined;
/** As it was before anybody who watches responses could put another in its place. */
const { writeHead: nodesWriteHead } = ServerResponse.prototype;

/**
 * Whether `writeHead` is Node's own. That is the function that calls `_storeHeader`; a patch around it calls that one.
 * There are runtimes that have Node's classes, `_storeHeader` included, and write the heads of real connections
 * without them.
 */
const isNode =
  process.versions.bun === undefined &&
  !("Deno" in globalThis) &&
  storeHeader !== undefined &&
  Function.prototype.toString.call(nodesWriteHead).includes("_storeHeader");

/** Node's own `writeHead` for HTTP/1, which takes a flat list of names and values; `undefined` where it is not known. */
export const plainWriteHead: unknown = isNode ? nodesWriteHead : undefined;

/** Whether the lines reach a head at all, tried once on a response that nobody gets. */
const isSupported = ((): boolean => {
  // Who patched Node before this was loaded wants to see all fields.
  if (!isNode) return false;
  const response: PreparedResponse = new ServerResponse(new IncomingMessage(new Socket()));
  const lines = "X-First: 1\r\nX-Second: 2\r\n";
  response[kLines] = lines;
  response._storeHeader = storeWithLines;
  try {
    response.writeHead(200, ["X-Third", "3"]);
    const head: unknown = Reflect.get(response, "_header");
    return typeof head === "string" && head.startsWith(`HTTP/1.1 200 OK\r\n${lines}X-Third: 3\r\n`);
  } catch {
    return false;
  }
})();

/**
 * Whether the text of `_storeHeader` is what a real connection carries. Until the first response has
 * shown it, and where none ever does, heads are written in the documented way.
 */
let isProved = false;

/**
 * Puts finished lines in front of the fields of a response's head, where that works: not for one of HTTP/2, nor for
 * one whose class or owner looks at all fields in a `writeHead` of its own, as test doubles do.
 *
 * Node checks and joins every field of every head: 0.1 us a field, for values that were checked when
 * the policy was compiled. Text that is joined to the status line costs the same for one field and for ten.
 *
 * @param writeHead the `writeHead` that the response had before it was guarded
 * @param lines `Name: value` lines, each with its line break; none of those that Node looks for itself,
 *   such as `Content-Length` and `Connection`
 * @returns whether they will stand there; if not, this response may show that those of later ones would
 */
export function prepareLines(response: PreparedResponse, writeHead: unknown, lines: string): boolean {
  if (!isSupported || writeHead !== nodesWriteHead) return false;
  const { _storeHeader: store } = response;
  if (!isProved) {
    if (store === storeHeader) response._storeHeader = storeAndWatch;
    return false;
  }
  if (store !== storeHeader && store !== storeWithLines) return false;
  response[kLines] = lines;
  response._storeHeader = storeWithLines;
  return true;
}

/** Takes the lines back, when Node refused the head that they were for. */
export function withoutPreparedLines(response: PreparedResponse): void {
  if (response[kLines] !== undefined) response[kLines] = "";
}

function storeWithLines(this: PreparedResponse, statusLine: string, fields: unknown): void {
  storeHeader?.call(this, statusLine + (this[kLines] ?? ""), fields);
}

function storeAndWatch(this: PreparedResponse, statusLine: string, fields: unknown): void {
  storeHeader?.call(this, statusLine, fields);
  const head: unknown = Reflect.get(this, "_header");
  const { socket } = this;
  // Without a socket: its turn on the connection has not come. The next response will do.
  if (typeof head !== "string" || !head.startsWith(statusLine) || !(socket instanceof Socket)) return;
  const sentBefore = socket.bytesWritten;
  this.once("finish", () => {
    if (socket.bytesWritten - sentBefore >= head.length) isProved = true;
  });
}
