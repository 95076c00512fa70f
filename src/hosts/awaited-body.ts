import type { InFlight } from "../overload/in-flight.js";
import { isHttp2, type NodeRequest } from "./node-request.js";

const kRequest = Symbol("cello.awaitedBody");

/** `NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE`: the client has sent all. Not every runtime that loads this has `node:http2`. */
const HALF_CLOSED_REMOTE = 6;

/** A request of a Node server whose body is on its way. */
type AwaitedRequest = NodeRequest & { [kRequest]?: InFlight };

/** Requests of this turn of the event loop whose bodies were not there when their heads were. */
let arrived: AwaitedRequest[] = [];

/**
 * Makes a request wait, as the load sees it, while somebody reads a body that its client has not sent
 * yet: an upload that takes an hour is no work, and one that never ends must keep no place from others.
 *
 * Whoever does not read the body works without it, and counts. So does a handler that stops reading for
 * a while because it has enough to do, and everybody as soon as the body has ended.
 *
 * Most bodies come with their heads, or in the same turn of the event loop. So this looks at its end,
 * and requests without a body cost nothing but the look at their head.
 */
export function awaitBody(raw: AwaitedRequest, request: InFlight): void {
  if (!request.isPresent || !announcesBody(raw)) return;
  request.hasBodyToCome = true;
  raw[kRequest] = request;
  if (arrived.length === 0) setImmediate(watchArrived);
  arrived.push(raw);
}

/** Whether the head says that a body follows (RFC 9112 section 6.3; RFC 9113 section 8.1). */
function announcesBody(raw: NodeRequest): boolean {
  const length = raw.headers["content-length"];
  if (isHttp2(raw)) return length !== "0" && raw.stream.endAfterHeaders !== true;
  return length === undefined ? raw.headers["transfer-encoding"] !== undefined : length !== "0";
}

function watchArrived(): void {
  const requests = arrived;
  arrived = [];
  for (const raw of requests) watch(raw);
}

function watch(raw: AwaitedRequest): void {
  if (raw[kRequest]?.isPresent !== true || isThere(raw)) return;
  raw.on("newListener", onListener);
  raw.on("resume", onReading);
  raw.on("pause", onEnough);
  raw.once("end", onEnough);
  if (raw.readableFlowing === true || raw.listenerCount("readable") > 0) wait(raw);
}

/** Whether all of the body has come, though perhaps nobody has read it yet. */
function isThere(raw: NodeRequest): boolean {
  if (isHttp2(raw)) return raw.stream.state.state === HALF_CLOSED_REMOTE || raw.readableEnded;
  return raw.complete === true || raw.readableEnded;
}

function wait(raw: AwaitedRequest): void {
  if (!isThere(raw)) raw[kRequest]?.startWaiting();
}

/*
 * One function each for all requests: none is made on the request path.
 */

function onListener(this: AwaitedRequest, name: string | symbol): void {
  if (name === "readable") wait(this);
}

function onReading(this: AwaitedRequest): void {
  wait(this);
}

function onEnough(this: AwaitedRequest): void {
  this[kRequest]?.stopWaiting();
}
