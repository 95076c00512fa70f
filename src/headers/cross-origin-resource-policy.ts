import type { SecurityHeader } from "./security-header.js";

export const CROSS_ORIGIN_RESOURCE_POLICIES = ["same-origin", "same-site", "cross-origin"] as const;
export type CrossOriginResourcePolicy = (typeof CROSS_ORIGIN_RESOURCE_POLICIES)[number];

/**
 * `Cross-Origin-Resource-Policy` (Fetch, "`Cross-Origin-Resource-Policy` header"): whose pages may load this response without
 * CORS, so that it does not come into another site's process (Spectre, cross-site script inclusion).
 */
export const crossOriginResourcePolicy: SecurityHeader<{
  readonly crossOriginResourcePolicy: CrossOriginResourcePolicy | undefined;
}> = {
  name: "Cross-Origin-Resource-Policy",
  field: "crossOriginResourcePolicy",
  value: (config) => config.crossOriginResourcePolicy,
};
