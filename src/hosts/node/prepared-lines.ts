import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

const kLines = Symbol("cello.preparedLines");

/**
 * Makes the text of a head from its status line and its fields. Node does not document it, and has
 * had it since its first versions.
 */
type StoreHeader = (this: ServerResponse, statusLine: string, fields: unknown) => void;

interface PreparedResponse extends ServerResponse {
  [kLines]?: string;
  _storeHeader?: StoreHeader;
}

const storeHeader = Reflect.get(ServerResponse.prototype, "_storeHeader");
/** As it was before anybody who watches responses could put another in its place. */
const { writeHead: nodesWriteHead } = ServerResponse.prototype;

/**
 * Puts finished lines in front of the fields of a response's head.
 *
 * Node checks and joins every field of every head: 0.1 us a field, for values that were checked when
 * the policy was compiled. Text that is joined to the status line costs the same for one field and for ten.
 *
 * @param lines `Name: value` lines, each with its line break; none of those that Node looks for itself,
 *   such as `Content-Length` and `Connection`
 */
export function prepareLines(response: PreparedResponse, lines: string): void {
  response[kLines] = lines;
  response._storeHeader = storeWithLines;
}

/** Takes the lines back, when Node refused the head that they were for. */
export function withoutPreparedLines(response: PreparedResponse): void {
  if (response[kLines] !== undefined) response[kLines] = "";
}

function storeWithLines(this: PreparedResponse, statusLine: string, fields: unknown): void {
  if (isStoreHeader(storeHeader)) storeHeader.call(this, statusLine + (this[kLines] ?? ""), fields);
}

function isStoreHeader(value: unknown): value is StoreHeader {
  return typeof value === "function";
}

/** Node's `writeHead` is the function that calls `_storeHeader`; a patch around it calls that one. */
const isUnpatched = ((): boolean => {
  if (typeof nodesWriteHead !== "function" || !isStoreHeader(storeHeader)) return false;
  return Function.prototype.toString.call(nodesWriteHead).includes("_storeHeader");
})();

/** Runtimes that have Node's classes, `_storeHeader` included, and write the heads of real connections without them. */
const isNode = process.versions.bun === undefined && !("Deno" in globalThis);

/** Whether a `writeHead` is Node's own for HTTP/1, which takes a flat list of names and values. */
export function isNodesWriteHead(writeHead: unknown): boolean {
  return isNode && isUnpatched && writeHead === nodesWriteHead;
}

/** Whether the lines reach a head at all, tried once on a response that nobody gets. */
const isSupported = ((): boolean => {
  // Who patched Node before this was loaded wants to see all fields.
  if (!isNode || !isUnpatched) return false;
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  const lines = "X-First: 1\r\nX-Second: 2\r\n";
  prepareLines(response, lines);
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
 * Lets a response show that prepared lines would have reached its client: this runtime made the head
 * with `_storeHeader`, and sent it.
 */
export function proveLines(response: PreparedResponse, writeHead: unknown): void {
  if (isProved || !isSupported || writeHead !== nodesWriteHead || response._storeHeader !== storeHeader) return;
  response._storeHeader = storeAndWatch;
}

function storeAndWatch(this: PreparedResponse, statusLine: string, fields: unknown): void {
  if (!isStoreHeader(storeHeader)) return;
  storeHeader.call(this, statusLine, fields);
  const head: unknown = Reflect.get(this, "_header");
  const { socket } = this;
  // Without a socket: its turn on the connection has not come. The next response will do.
  if (typeof head !== "string" || !head.startsWith(statusLine) || !(socket instanceof Socket)) return;
  const sentBefore = socket.bytesWritten;
  this.once("finish", () => {
    if (socket.bytesWritten - sentBefore >= head.length) isProved = true;
  });
}

/**
 * Whether {@link prepareLines} works for a response: not for one of HTTP/2, nor for one whose class or
 * owner looks at all fields in a `writeHead` of its own, as test doubles do.
 *
 * @param writeHead the `writeHead` that the response had before it was guarded
 */
export function canPrepare(response: PreparedResponse, writeHead: unknown): boolean {
  if (!isProved || writeHead !== nodesWriteHead) return false;
  const store: unknown = response._storeHeader;
  return store === storeHeader || store === storeWithLines;
}
