import type { CSP } from "./csp/builder.js";
import type { SecurityHeader } from "./security-header.js";

/**
 * `Content-Security-Policy` (W3C CSP Level 3): what the page may load and run, so that injected
 * markup is not run as code. The value holds the slot of the nonce where the policy has one.
 */
export const contentSecurityPolicy: SecurityHeader<{ readonly csp: CSP | undefined }> = {
  name: "Content-Security-Policy",
  field: "csp",
  value: (config) => config.csp?.toString(),
};
