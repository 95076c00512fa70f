import type { SecurityHeader } from "./security-header.js";

/**
 * `X-Content-Type-Options: nosniff` (Fetch, "`X-Content-Type-Options` header"): the browser believes the declared type, so
 * that an uploaded text is not run as a script.
 */
export const xContentTypeOptions: SecurityHeader<{ readonly xContentTypeOptions: boolean }> = {
  name: "X-Content-Type-Options",
  field: "xContentTypeOptions",
  value: (config) => (config.xContentTypeOptions ? "nosniff" : undefined),
};
