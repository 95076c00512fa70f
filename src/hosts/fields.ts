import type { Policy } from "../policy/policy.js";
import type { SecuredRequest } from "../policy/request.js";

/** A field that the layer adds to requests. */
export type FieldName = keyof SecuredRequest;

/** The names of all fields. */
export const SECURED_FIELDS: readonly FieldName[] = ["claims", "token", "session", "cspNonce", "clientIp", "rateLimit"];

/**
 * The fields that the requests of a policy have. What is off has none: another package may have a
 * `request.session` of its own.
 */
export function fieldsOf(policy: Policy, hasLimits: boolean): readonly FieldName[] {
  const isOn = {
    claims: policy.jwt !== undefined,
    token: policy.jwt !== undefined,
    session: policy.sessions !== undefined,
    cspNonce: true,
    clientIp: true,
    rateLimit: hasLimits,
  };
  return SECURED_FIELDS.filter((name) => isOn[name]);
}
