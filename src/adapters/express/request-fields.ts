import type { IncomingMessage } from "node:http";
import type { SecuredRequest, SecuredRequestFields } from "../../secured-request.js";

const kSecured = Symbol("cello.express.secured");

/** A request of a Node server with the fields that the middleware adds. */
export interface SecuredIncomingMessage extends IncomingMessage, SecuredRequestFields {
  [kSecured]: SecuredRequest | undefined;
  method: string;
  url: string;
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
const FIELDS: PropertyDescriptorMap = {
  [kSecured]: { value: undefined, writable: true },
  claims: field((secured) => secured.claims),
  token: field((secured) => secured.token),
  session: field((secured) => secured.session),
  cspNonce: field((secured) => secured.cspNonce),
  clientIp: field((secured) => secured.clientIp),
  rateLimit: field((secured) => secured.rateLimit),
};

/** Adds the fields to a request; they answer once {@link attach} has been called. */
export function addFields(request: IncomingMessage): asserts request is SecuredIncomingMessage {
  Object.defineProperties(request, FIELDS);
}

/**
 * Whether a request has been through the middleware; tells TypeScript that it has its fields.
 * Express knows by itself; a plain `node:http` handler asks.
 */
export function isSecured(request: IncomingMessage): request is SecuredIncomingMessage {
  return kSecured in request;
}

/** Ties a request to its way through the pipeline. */
export function attach(request: SecuredIncomingMessage, secured: SecuredRequest): void {
  request[kSecured] = secured;
}
