import type { FastifyInstance, FastifyRequest } from "fastify";
import { ConfigError } from "../../core/errors.js";
import type { FieldName } from "../fields.js";
import { kPassage } from "./types.js";

/**
 * Adds fields to all requests, as getters on their prototype: they cost nothing until a handler asks. What is off
 * gets none: another plugin may have a `request.session` of its own.
 *
 * @throws ConfigError when another plugin has a field of that name; when one comes later and wants it, Fastify
 *   does not get ready, with the same error
 */
export function addRequestFields(fastify: FastifyInstance, names: readonly FieldName[]): void {
  for (const name of names) {
    if (fastify.hasRequestDecorator(name)) throw fieldTaken(name);
    fastify.decorateRequest(name, { getter: getterOf(name) });
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

function getterOf(name: FieldName) {
  return function (this: FastifyRequest): unknown {
    const passage = this[kPassage];
    if (passage !== undefined) return passage[name];
    // A hook that was added before ours.
    if (name === "clientIp") return this.ip;
    if (name !== "session" && name !== "cspNonce") return undefined;
    throw new Error("this request has not reached the security layer yet");
  };
}

function fieldTaken(name: FieldName): ConfigError {
  return new ConfigError({
    code: "CELLO_CONFLICT",
    subject: "cello",
    problem: `two plugins want request.${name}: this one and another, such as @fastify/session`,
    mend: "register one of them; without a session in its policy, this one leaves request.session alone",
  });
}
