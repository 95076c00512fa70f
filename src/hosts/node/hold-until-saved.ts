import type { ServerResponse } from "node:http";
import { StoreUnavailableError } from "../../core/errors.js";
import { type Refusal, SERVER_ERROR, STORE_UNAVAILABLE } from "../../core/problem.js";
import type { Passage } from "../../policy/passage.js";
import { corsFieldsOf } from "./held-cors-fields.js";
import { type Committed, lookCommitted } from "./held-look.js";
import { forgetReason, type GuardedResponse, kCookie } from "./response.js";

const kHold = Symbol("cello.hold");

/** A method of the response, whatever it takes. */
type Method = (...args: never[]) => unknown;

/** A call on the response that waits for the session to be saved. */
interface HeldCall {
  readonly method: Method;
  readonly args: readonly unknown[];
}

interface HeldResponse extends GuardedResponse {
  [kHold]?: Hold;
}

/**
 * What is done with calls on a response:
 * - `unasked`: none has come yet; the first one saves the session
 * - `holding`: the session is being saved, calls wait
 * - `open`: calls go through
 * - `refused`: a refusal was sent in the place of what the handler writes
 */
type HoldState = "unasked" | "holding" | "open" | "refused";

type HeldName = "writeHead" | "write" | "end" | "flushHeaders";

/** What the response could do before, and what waits. */
class Hold implements Committed {
  state: HoldState = "unasked";
  /** Whether `end` waits: what is written after it is lost, as on a response that was sent. */
  hasEnded = false;
  /** Whether a `write` was told to wait for `drain`. */
  owesDrain = false;
  /** The status at the moment when the body began, where no `writeHead` came before. */
  statusCode: number | undefined = undefined;
  calls: HeldCall[] = [];
  readonly methods: Readonly<Record<HeldName, Method>>;

  constructor(
    readonly passage: Passage,
    { writeHead, write, end, flushHeaders }: ServerResponse,
  ) {
    this.methods = { writeHead, write, end, flushHeaders };
  }

  get isHolding(): boolean {
    return this.state === "holding";
  }
}

/**
 * Holds a response back until its session is saved, for sessions in a store that can fail or take time.
 *
 * A client that has the answer may send its next request at once, to any machine: what it was told
 * is saved must be saved by then. Whatever the handler does with the response meanwhile (`writeHead`,
 * `write`, `end`) is kept in order and done afterwards. If the store does not answer, the client gets
 * a refusal and never an answer that claims a login that was not stored.
 *
 * The functions are put in once and look at a state. They are never taken out again: middleware that
 * comes later wraps them, and would lose its place.
 */
export function holdUntilSaved(response: HeldResponse, passage: Passage): void {
  response[kHold] = new Hold(passage, response);
  Object.assign(response, HELD_CALLS);
  // Not every response has it: doubles, and adapters of cloud functions.
  if (response.flushHeaders !== undefined) Object.assign(response, { flushHeaders: HELD_FLUSH });
}

/** Makes a method wait: one function for all responses, none is made per request. */
function held(name: HeldName) {
  return function (this: HeldResponse, ...args: readonly unknown[]): unknown {
    const hold = this[kHold];
    if (hold === undefined) throw new Error("this response is not held");
    const method = hold.methods[name];
    const isFirst = hold.state === "unasked";
    if (!mustHold(this, hold)) {
      if (hold.state !== "refused") return Reflect.apply(method, this, args);
      // The refusal stands in the place of what the handler goes on to write.
      callBack(args);
      return name === "write" ? true : this;
    }
    if (name === "writeHead") {
      if (!isFirst) throw headIsWritten();
    } else if (hold.hasEnded) {
      callBack(args, writtenAfterEnd());
      return name === "write" ? false : this;
    } else if (isFirst) hold.statusCode = this.statusCode;
    if (name === "end") hold.hasEnded = true;
    if (name === "write") hold.owesDrain = true;
    hold.calls.push({ method, args });
    return name === "write" ? false : this;
  };
}

const HELD_CALLS = { writeHead: held("writeHead"), write: held("write"), end: held("end") };
const HELD_FLUSH = held("flushHeaders");

function callBack(args: readonly unknown[], error?: Error): void {
  const callback = args.at(-1);
  if (typeof callback === "function") process.nextTick(callback, error);
}

/** Whether a call must wait; the first one starts the saving. */
function mustHold(response: HeldResponse, hold: Hold): boolean {
  if (hold.state !== "unasked") return hold.state === "holding";
  // Before the session is asked: its own doings must not start a second saving.
  hold.state = "open";
  try {
    const saved = hold.passage.commitSession();
    if (!(saved instanceof Promise)) {
      response[kCookie] = saved;
      return false;
    }
    hold.state = "holding";
    lookCommitted(response, hold);
    saved.then(
      (cookie) => replay(response, hold, cookie),
      (error: unknown) => refuse(response, hold, error),
    );
    return true;
  } catch (error) {
    // Not thrown on: the caller may be a timer, behind which there is nobody.
    if (!(error instanceof StoreUnavailableError)) throw error;
    answerInstead(response, hold, STORE_UNAVAILABLE);
    return false;
  }
}

function replay(response: HeldResponse, hold: Hold, cookie: string | undefined): void {
  hold.state = "open";
  response[kCookie] = cookie;
  // As it was when the body began: what the handler changed afterwards came too late.
  if (hold.statusCode !== undefined) response.statusCode = hold.statusCode;
  let hasRoom = true;
  try {
    for (const { method, args } of hold.calls) {
      const answer: unknown = Reflect.apply(method, response, args);
      if (method === hold.methods.write) hasRoom = answer !== false;
    }
  } catch (error) {
    // Whoever made the call has returned long ago. Nobody else can catch this, and the process must live.
    warnOf(error);
    answerInstead(response, hold, SERVER_ERROR);
  }
  // Where the connection has no room, Node tells when it has.
  goOn(response, hold, hasRoom);
}

function refuse(response: HeldResponse, hold: Hold, error: unknown): void {
  if (!(error instanceof StoreUnavailableError)) warnOf(error);
  const { calls } = hold;
  answerInstead(response, hold, error instanceof StoreUnavailableError ? STORE_UNAVAILABLE : SERVER_ERROR);
  for (const { args } of calls) callBack(args);
  goOn(response, hold, true);
}

/** Lets a stream go on that was told to wait. */
function goOn(response: HeldResponse, hold: Hold, hasRoom: boolean): void {
  hold.calls = [];
  // In a turn of its own: a listener that throws is its owner's error, not ours.
  if (hold.owesDrain && !hold.hasEnded && hasRoom) process.nextTick(() => response.emit("drain"));
}

/** Answers in the place of what the handler wrote, and takes no notice of what it goes on to write. */
function answerInstead(response: HeldResponse, hold: Hold, { status, headers, body }: Refusal): void {
  hold.state = "open";
  if (response.headersSent) {
    response.destroy();
  } else {
    // The page that asked must be able to read the refusal.
    const kept = corsFieldsOf(response, hold.calls);
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    forgetReason(response);
    // Past what was put around these later: it may be in the middle of what it makes of the handler's answer.
    Reflect.apply(hold.methods.writeHead, response, [status, [...headers, ...kept]]);
    Reflect.apply(hold.methods.end, response, [body]);
  }
  hold.state = "refused";
}

/** The error of Node's own `writeHead`, when the head is given already. */
function headIsWritten(): Error {
  const error = new Error("Cannot write headers after they are sent to the client");
  return Object.assign(error, { code: "ERR_HTTP_HEADERS_SENT" });
}

function writtenAfterEnd(): Error {
  return Object.assign(new Error("write after end"), { code: "ERR_STREAM_WRITE_AFTER_END" });
}

function warnOf(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  // As JSON: Node quotes a header's name in it, and that may hold line breaks.
  process.emitWarning(`a response could not be written: ${JSON.stringify(message)}`, {
    code: "CELLO_RESPONSE_NOT_WRITTEN",
  });
}
