import type { IncomingMessage } from "node:http";
import { strictFunction } from "../../core/strict-calls.js";
import type { SecuredRequest, SecuredRequestFields } from "../../policy/passage.js";
import type { RoutePolicy } from "../../policy/route.js";
import type { Security } from "../../policy/security.js";

const kSecured = Symbol("cello.express.secured");

/** A request of a Node server with the fields that the middleware adds. */
export interface SecuredIncomingMessage extends IncomingMessage, SecuredRequestFields {
  [kSecured]: SecuredRequest | undefined;
  method: string;
  url: string;
}

/** Code for other sessions ends one by `request.session = null`: that must not seem done. */
function refuseAssignment(): never {
  throw new TypeError("request.session cannot be assigned; end the session with request.session.destroy()");
}

const field = (read: (secured: SecuredRequest) => unknown): PropertyDescriptor => ({
  configurable: true,
  enumerable: false,
  get(this: SecuredIncomingMessage) {
    const secured = this[kSecured];
    return secured === undefined ? undefined : read(secured);
  },
});

/** For what others set too: theirs is seen then, and ours is asked for elsewhere. */
const replaceable = (name: string, read: (secured: SecuredRequest) => unknown): PropertyDescriptor => ({
  ...field(read),
  set(this: SecuredIncomingMessage, value: unknown) {
    Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  },
});

/** A field of requests by its name. */
export type RequestField = readonly [name: string, descriptor: PropertyDescriptor];

const TOKEN_FIELDS: readonly RequestField[] = [
  ["claims", field((secured) => secured.claims)],
  ["token", field((secured) => secured.token)],
];
const SESSION_FIELD: RequestField = ["session", { ...field((secured) => secured.session), set: refuseAssignment }];
const LIMIT_FIELD: RequestField = ["rateLimit", field((secured) => secured.rateLimit)];
const COMMON_FIELDS: readonly RequestField[] = [
  ["cspNonce", replaceable("cspNonce", (secured) => secured.cspNonce)],
  ["clientIp", replaceable("clientIp", (secured) => secured.clientIp)],
];

/**
 * The getters for the requests of a policy, one set for all: nothing is opened or made until a handler asks. What
 * is off has none: another package may have a `request.session` of its own.
 */
export function fieldsOf(security: Security, route: RoutePolicy): readonly RequestField[] {
  const fields = [...COMMON_FIELDS];
  if (security.authenticator !== undefined) fields.push(...TOKEN_FIELDS);
  if (security.sessions !== undefined) fields.push(SESSION_FIELD);
  if (route.hasLimits) fields.push(LIMIT_FIELD);
  return Object.freeze(fields);
}

/** Adds fields to a request; they answer once {@link attach} has been called. */
export function addFields(
  request: IncomingMessage,
  fields: readonly RequestField[],
): asserts request is SecuredIncomingMessage {
  // On the request itself: Express replaces the prototypes of requests, also on the way to a mounted
  // application. One by one is half the time of `Object.defineProperties`.
  for (let index = 0; index < fields.length; index++) {
    const entry = fields[index];
    if (entry !== undefined) Object.defineProperty(request, entry[0], entry[1]);
  }
}

/**
 * Whether a request has been through the middleware; tells TypeScript that it has its fields.
 * Express knows by itself; a plain `node:http` handler asks.
 */
export const isSecured = strictFunction(
  "isSecured(request)",
  function isSecured(request: IncomingMessage): request is SecuredIncomingMessage {
    return kSecured in request;
  },
);

/** The way through the pipeline that a request is tied to, if it is. */
export function attachedTo(
  request: IncomingMessage & { [kSecured]?: SecuredRequest | undefined },
): SecuredRequest | undefined {
  return request[kSecured];
}

/** Ties a request to its way through the pipeline. */
export function attach(request: SecuredIncomingMessage, secured: SecuredRequest): void {
  // Not enumerable: a log of the request's own fields must not lead to its token.
  Object.defineProperty(request, kSecured, { value: secured });
}
