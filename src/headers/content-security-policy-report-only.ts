import type { CSP } from "./csp/builder.js";
import type { SecurityHeader } from "./security-header.js";

/**
 * `Content-Security-Policy-Report-Only` (W3C CSP Level 3 section 3.2): a policy that is only
 * reported, to try one before it is enforced. `sandbox` has no effect in it.
 */
export const contentSecurityPolicyReportOnly: SecurityHeader<{ readonly cspReportOnly: CSP | undefined }> = {
  name: "Content-Security-Policy-Report-Only",
  field: "cspReportOnly",
  value: (config) => config.cspReportOnly?.toString(),
};
