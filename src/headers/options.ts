import type { CrossOriginEmbedderPolicy } from "./cross-origin-embedder-policy.js";
import type { CrossOriginOpenerPolicy } from "./cross-origin-opener-policy.js";
import type { CrossOriginResourcePolicy } from "./cross-origin-resource-policy.js";
import type { CSP } from "./csp/builder.js";
import type { PermissionsPolicy } from "./permissions-policy.js";
import type { ReportingEndpoints } from "./reporting-endpoints.js";
import type { XFrameOptions } from "./x-frame-options.js";
import type { CrossDomainPolicy } from "./x-permitted-cross-domain-policies.js";

/** What `SecurityHeadersConfig` takes. A field that may be `null` is then not sent. */
export interface SecurityHeadersOptions {
  /** Strict-Transport-Security. Default `true`. */
  readonly hsts?: boolean | undefined;
  /** Seconds for which browsers keep to HTTPS; 0 makes them forget it. Default 31536000, one year. */
  readonly hstsMaxAge?: number | undefined;
  /** Also for subdomains. Default `true`. */
  readonly hstsIncludeSubdomains?: boolean | undefined;
  /** Asks for a place in the preload list: needs a year and subdomains. Default `false`. */
  readonly hstsPreload?: boolean | undefined;
  /** X-Frame-Options. Default `"DENY"`. */
  readonly xFrameOptions?: XFrameOptions | null | undefined;
  /** X-Content-Type-Options: nosniff. Default `true`. */
  readonly xContentTypeOptions?: boolean | undefined;
  /** X-XSS-Protection: `true` sends `1; mode=block`, `"0"` sends `0`. Default `true`. */
  readonly xXssProtection?: boolean | "0" | undefined;
  /** Referrer-Policy: one policy, or several separated by commas. Default `"strict-origin-when-cross-origin"`. */
  readonly referrerPolicy?: string | null | undefined;
  /** Content-Security-Policy. Default none. */
  readonly csp?: CSP | null | undefined;
  /** Content-Security-Policy-Report-Only. Default none. */
  readonly cspReportOnly?: CSP | null | undefined;
  /** Permissions-Policy, for example `{ camera: ["self"], geolocation: [] }`. Default none. */
  readonly permissionsPolicy?: PermissionsPolicy | null | undefined;
  /** Cross-Origin-Opener-Policy. Default none. */
  readonly crossOriginOpenerPolicy?: CrossOriginOpenerPolicy | null | undefined;
  /** Cross-Origin-Embedder-Policy. Default none. */
  readonly crossOriginEmbedderPolicy?: CrossOriginEmbedderPolicy | null | undefined;
  /** Cross-Origin-Resource-Policy. Default none. */
  readonly crossOriginResourcePolicy?: CrossOriginResourcePolicy | null | undefined;
  /** `true` sends Origin-Agent-Cluster: ?1. Default none. */
  readonly originAgentCluster?: boolean | null | undefined;
  /** X-DNS-Prefetch-Control: `on` or `off`. Default none. */
  readonly dnsPrefetchControl?: boolean | null | undefined;
  /** `true` sends X-Download-Options: noopen. Default none. */
  readonly downloadOptions?: boolean | null | undefined;
  /** X-Permitted-Cross-Domain-Policies. Default none. */
  readonly permittedCrossDomainPolicies?: CrossDomainPolicy | null | undefined;
  /** Reporting-Endpoints, for example `{ csp: "https://reports.example/csp" }`. Default none. */
  readonly reportingEndpoints?: ReportingEndpoints | null | undefined;
  /** Headers that are taken from every response. Default `["X-Powered-By", "Server"]`. */
  readonly removeHeaders?: readonly string[] | undefined;
}
