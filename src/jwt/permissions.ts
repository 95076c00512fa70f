import type { JsonObject } from "../core/json.js";

const NONE: ReadonlySet<string> = new Set();

/**
 * The scopes of a token: `scope` (RFC 8693 section 4.2, RFC 9068) or what other issuers call it,
 * `scp` and `scopes`; each a list, or text with spaces between.
 */
export function readScopes(claims: JsonObject): ReadonlySet<string> {
  const { scope, scp, scopes } = claims;
  if (scope === undefined && scp === undefined && scopes === undefined) return NONE;
  return new Set([...words(scope), ...words(scp), ...words(scopes)]);
}

/** The roles of a token: `roles`, a list or one role (RFC 9068 section 2.2.3.1). */
export function readRoles(claims: JsonObject): ReadonlySet<string> {
  const { roles } = claims;
  if (typeof roles === "string") return new Set([roles]);
  return Array.isArray(roles) ? new Set(roles.filter(isText)) : NONE;
}

function words(value: unknown): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  return Array.isArray(value) ? value.filter(isText) : [];
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
