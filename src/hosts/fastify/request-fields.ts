import type { FastifyInstance, FastifyRequest } from "fastify";
import { ConfigError } from "../../core/errors.js";
import type { SecuredRequest, SecuredRequestFields } from "../../policy/passage.js";
import { kSecured } from "./types.js";

type FieldName = keyof SecuredRequestFields;

/** Getters on the prototype of requests: they cost nothing until a handler asks. */
const GETTERS: Readonly<Record<FieldName, (this: FastifyRequest) => unknown>> = {
  claims(this: FastifyRequest) {
    return this[kSecured]?.claims;
  },
  token(this: FastifyRequest) {
    return this[kSecured]?.token;
  },
  session(this: FastifyRequest) {
    return securedOf(this).session;
  },
  cspNonce(this: FastifyRequest) {
    return securedOf(this).cspNonce;
  },
  clientIp(this: FastifyRequest) {
    return this[kSecured]?.clientIp ?? this.ip;
  },
  rateLimit(this: FastifyRequest) {
    return this[kSecured]?.rateLimit;
  },
};

/** The fields of tokens, which requests have when tokens are enabled. */
export const TOKEN_FIELDS: readonly FieldName[] = ["claims", "token"];
/** The field of sessions. */
export const SESSION_FIELDS: readonly FieldName[] = ["session"];

/**
 * Adds fields to all requests. What is off gets none: another plugin may have a `request.session` of its own.
 *
 * @throws ConfigError when another plugin has a field of that name; when one comes later and wants it, Fastify
 *   does not get ready, with the same error
 */
export function addRequestFields(fastify: FastifyInstance, names: readonly FieldName[]): void {
  for (const name of names) {
    if (fastify.hasRequestDecorator(name)) throw fieldTaken(name);
    fastify.decorateRequest(name, { getter: GETTERS[name] });
  }
  const { decorateRequest } = fastify;
  let conflict: ConfigError | undefined;
  const guarding = function (this: FastifyInstance, ...given: unknown[]): unknown {
    const taken = names.find((name) => name === given[0]);
    if (taken === undefined) return Reflect.apply(decorateRequest, this, given);
    // Not thrown here: what a plugin with a callback throws ends the process.
    conflict ??= fieldTaken(taken);
    return this;
  };
  fastify.addHook("onReady", async () => {
    if (conflict !== undefined) throw conflict;
  });
  Object.assign(fastify, { decorateRequest: guarding });
}

function fieldTaken(name: FieldName): ConfigError {
  return new ConfigError({
    code: "CELLO_CONFLICT",
    subject: "cello",
    problem: `two plugins want request.${name}: this one and another, such as @fastify/session`,
    mend: "register one of them; without a session in its policy, this one leaves request.session alone",
  });
}

function securedOf(request: FastifyRequest): SecuredRequest {
  const secured = request[kSecured];
  if (secured === undefined) throw new Error("this request has not reached the security layer yet");
  return secured;
}
