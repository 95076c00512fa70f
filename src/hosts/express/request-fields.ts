import type { IncomingMessage } from "node:http";
import { strictFunction } from "../../core/strict-calls.js";
import type { Passage } from "../../policy/passage.js";
import type { SecuredRequest } from "../../policy/request.js";
import { type FieldName, SECURED_FIELDS } from "../fields.js";

const kPassage = Symbol("cello.express.passage");

/** A request of a Node server with the fields that the middleware adds. */
export interface SecuredIncomingMessage extends IncomingMessage, SecuredRequest {
  [kPassage]: Passage | undefined;
  method: string;
  url: string;
}

/** Getters, one set for all requests: nothing is opened or made until a handler asks. */
const DESCRIPTORS = new Map(SECURED_FIELDS.map((name) => [name, descriptorOf(name)]));

function descriptorOf(name: FieldName): PropertyDescriptor {
  const descriptor: PropertyDescriptor = {
    configurable: true,
    enumerable: false,
    get(this: SecuredIncomingMessage) {
      return this[kPassage]?.[name];
    },
  };
  if (name === "session") descriptor.set = refuseAssignment;
  if (name === "cspNonce" || name === "clientIp") {
    // Others set these too: theirs is seen then, and ours is asked for elsewhere.
    descriptor.set = function (this: SecuredIncomingMessage, value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    };
  }
  return descriptor;
}

/** Code for other sessions ends one by `request.session = null`: that must not seem done. */
function refuseAssignment(): never {
  throw new TypeError("request.session cannot be assigned; end the session with request.session.destroy()");
}

/** Adds fields to a request; they answer once {@link attach} has been called. */
export function addFields(
  request: IncomingMessage,
  names: readonly FieldName[],
): asserts request is SecuredIncomingMessage {
  // On the request itself: Express replaces the prototypes of requests, also on the way to a mounted
  // application. One by one is half the time of `Object.defineProperties`.
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    const descriptor = name && DESCRIPTORS.get(name);
    if (descriptor) Object.defineProperty(request, name, descriptor);
  }
}

/**
 * Whether a request has been through the middleware; tells TypeScript that it has its fields.
 * Express knows by itself; a plain `node:http` handler asks.
 */
export const isSecured = strictFunction(
  "isSecured(request)",
  function isSecured(request: IncomingMessage): request is SecuredIncomingMessage {
    return kPassage in request;
  },
);

/** The passage that a request is tied to, if it is. */
export function attachedTo(request: IncomingMessage & { [kPassage]?: Passage | undefined }): Passage | undefined {
  return request[kPassage];
}

/** Ties a request to its passage. */
export function attach(request: SecuredIncomingMessage, passage: Passage): void {
  // Not enumerable: a log of the request's own fields must not lead to its token.
  Object.defineProperty(request, kPassage, { value: passage });
}
