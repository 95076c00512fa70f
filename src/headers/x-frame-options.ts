import type { SecurityHeader } from "./security-header.js";

/** The values of `X-Frame-Options` that browsers still know; `ALLOW-FROM` is dead. */
export const X_FRAME_OPTIONS = ["DENY", "SAMEORIGIN"] as const;
export type XFrameOptions = (typeof X_FRAME_OPTIONS)[number];

/**
 * `X-Frame-Options` (RFC 7034, and HTML, "The `X-Frame-Options` header"): who may frame the page, against
 * clickjacking. Where a CSP has `frame-ancestors`, browsers that know it look at that alone.
 */
export const xFrameOptions: SecurityHeader<{ readonly xFrameOptions: XFrameOptions | null }> = {
  name: "X-Frame-Options",
  field: "xFrameOptions",
  value: (config) => config.xFrameOptions ?? undefined,
};
