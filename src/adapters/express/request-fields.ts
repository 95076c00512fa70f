import type { IncomingMessage } from "node:http";
import type { SecuredRequest, SecuredRequestFields } from "../../secured-request.js";
import { strictFunction } from "../../strict-calls.js";

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

/** One set of getters for all requests: nothing is opened or made until a handler asks. */
const FIELDS: readonly (readonly [string, PropertyDescriptor])[] = [
  ["claims", field((secured) => secured.claims)],
  ["token", field((secured) => secured.token)],
  ["session", { ...field((secured) => secured.session), set: refuseAssignment }],
  ["cspNonce", field((secured) => secured.cspNonce)],
  ["clientIp", field((secured) => secured.clientIp)],
  ["rateLimit", field((secured) => secured.rateLimit)],
];

/** Adds the fields to a request; they answer once {@link attach} has been called. */
export function addFields(request: IncomingMessage): asserts request is SecuredIncomingMessage {
  // On the request itself: Express replaces the prototypes of requests, also on the way to a mounted
  // application. One by one is half the time of `Object.defineProperties`.
  for (let index = 0; index < FIELDS.length; index++) {
    const entry = FIELDS[index];
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

/** Ties a request to its way through the pipeline. */
export function attach(request: SecuredIncomingMessage, secured: SecuredRequest): void {
  // Not enumerable: a log of the request's own fields must not lead to its token.
  Object.defineProperty(request, kSecured, { value: secured });
}
