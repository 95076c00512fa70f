import type { SecurityHeader } from "./security-header.js";

export const CROSS_DOMAIN_POLICIES = ["none", "master-only", "by-content-type", "all"] as const;
export type CrossDomainPolicy = (typeof CROSS_DOMAIN_POLICIES)[number];

/**
 * `X-Permitted-Cross-Domain-Policies` (Adobe's cross-domain policy specification): whether Acrobat
 * and old Flash may read policy files of this host, which let other sites read its data.
 */
export const permittedCrossDomainPolicies: SecurityHeader<{
  readonly permittedCrossDomainPolicies: CrossDomainPolicy | undefined;
}> = {
  name: "X-Permitted-Cross-Domain-Policies",
  field: "permittedCrossDomainPolicies",
  value: (config) => config.permittedCrossDomainPolicies,
};
