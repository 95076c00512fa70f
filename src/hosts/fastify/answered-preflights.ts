import type { FastifyInstance } from "fastify";
import type { Security } from "../../policy/security.js";
import { secure, writeOnto } from "./install.js";
import { kPassage } from "./types.js";

/**
 * Guards what the plugin answered before our hook, because it was registered before: such answers carry the
 * security headers, and there is an end to them.
 */
export function meetAnsweredPreflights(fastify: FastifyInstance, security: Security): void {
  fastify.addHook("onSend", (request, reply, payload, done) => {
    if (request[kPassage] !== undefined) return done(null, payload);
    const passage = secure(security, security.defaultRoute, request, reply);
    const { preflights } = security.policy;
    const refusal = preflights.includes(passage.view) ? passage.decided(preflights.refuse(passage.view)) : undefined;
    if (refusal === undefined) return done(null, payload);
    writeOnto(reply, refusal);
    done(null, refusal.body);
  });
}
