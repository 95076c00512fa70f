import type { ConfigFields } from "../core/options.js";
import type { SecurityHeader } from "./security-header.js";

/** The policies of W3C Referrer Policy section 3. */
const POLICIES: readonly string[] = [
  "no-referrer",
  "no-referrer-when-downgrade",
  "same-origin",
  "origin",
  "strict-origin",
  "origin-when-cross-origin",
  "strict-origin-when-cross-origin",
  "unsafe-url",
];

/**
 * `Referrer-Policy` (W3C Referrer Policy): how much of the URL, which may hold a secret, other sites
 * learn when a link is followed or a resource loaded.
 */
export const referrerPolicy: SecurityHeader<{ readonly referrerPolicy: string | null }> = {
  name: "Referrer-Policy",
  field: "referrerPolicy",
  value: (config) => config.referrerPolicy ?? undefined,
};

/**
 * Reads a policy, or several separated by commas: a browser takes the last one that it knows
 * (section 4.1), so that new ones can stand behind old ones.
 */
export function readReferrerPolicy(fields: ConfigFields, fallback: string): string | null {
  if (fields.raw("referrerPolicy") === null) return null;
  const policies = fields.string("referrerPolicy", fallback).split(",");
  for (const policy of policies.map((text) => text.trim())) {
    if (POLICIES.includes(policy)) continue;
    fields.fail(
      "CELLO_INVALID_VALUE",
      "referrerPolicy",
      `${JSON.stringify(policy)} is not a referrer policy`,
      `give one of ${POLICIES.join(", ")}, or null for no header`,
    );
  }
  return policies.map((text) => text.trim()).join(", ");
}
