import type { SecurityHeadersConfig } from "./config.js";
import { contentSecurityPolicy } from "./content-security-policy.js";
import { contentSecurityPolicyReportOnly } from "./content-security-policy-report-only.js";
import { crossOriginEmbedderPolicy } from "./cross-origin-embedder-policy.js";
import { crossOriginOpenerPolicy } from "./cross-origin-opener-policy.js";
import { crossOriginResourcePolicy } from "./cross-origin-resource-policy.js";
import { originAgentCluster } from "./origin-agent-cluster.js";
import { permissionsPolicy } from "./permissions-policy.js";
import { referrerPolicy } from "./referrer-policy.js";
import { reportingEndpoints } from "./reporting-endpoints.js";
import type { SecurityHeader } from "./security-header.js";
import { strictTransportSecurity } from "./strict-transport-security.js";
import { xContentTypeOptions } from "./x-content-type-options.js";
import { dnsPrefetchControl } from "./x-dns-prefetch-control.js";
import { downloadOptions } from "./x-download-options.js";
import { xFrameOptions } from "./x-frame-options.js";
import { permittedCrossDomainPolicies } from "./x-permitted-cross-domain-policies.js";
import { xXssProtection } from "./x-xss-protection.js";

/** Every header that a configuration can send, in the order in which they are sent. */
export const SECURITY_HEADERS: readonly SecurityHeader<SecurityHeadersConfig>[] = [
  strictTransportSecurity,
  xFrameOptions,
  xContentTypeOptions,
  xXssProtection,
  referrerPolicy,
  contentSecurityPolicy,
  contentSecurityPolicyReportOnly,
  permissionsPolicy,
  crossOriginOpenerPolicy,
  crossOriginEmbedderPolicy,
  crossOriginResourcePolicy,
  originAgentCluster,
  dnsPrefetchControl,
  downloadOptions,
  permittedCrossDomainPolicies,
  reportingEndpoints,
];
