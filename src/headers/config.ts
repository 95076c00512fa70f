import { Fields, flag, integer, isHttpToken, type Readers, texts } from "../core/options.js";
import { strictConstruction, strictMethods, strictStatics } from "../core/strict-calls.js";
import type { CSP } from "./csp/builder.js";
import { HEADER_READERS, sentHeaders } from "./header-table.js";
import type { PermissionsPolicy } from "./permissions-policy.js";
import { API, STRICT, WEB } from "./presets.js";
import type { ReportingEndpoints } from "./reporting-endpoints.js";

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
  readonly xFrameOptions?: "DENY" | "SAMEORIGIN" | null | undefined;
  /** X-Content-Type-Options: nosniff. Default `true`. */
  readonly xContentTypeOptions?: boolean | undefined;
  /** X-XSS-Protection: `true` sends `1; mode=block`, `"0"` sends `0`. Default `true`. */
  readonly xXssProtection?: boolean | "0" | undefined;
  /** Referrer-Policy: one policy, or several separated by commas. Default `"strict-origin-when-cross-origin"`. */
  readonly referrerPolicy?: string | null | undefined;
  /** Content-Security-Policy; a snapshot of it is kept. Default none. */
  readonly csp?: CSP | null | undefined;
  /** Content-Security-Policy-Report-Only; a snapshot of it is kept. Default none. */
  readonly cspReportOnly?: CSP | null | undefined;
  /** Permissions-Policy, for example `{ camera: ["self"], geolocation: [] }`. Default none. */
  readonly permissionsPolicy?: PermissionsPolicy | null | undefined;
  /** Cross-Origin-Opener-Policy. Default none. */
  readonly crossOriginOpenerPolicy?:
    | "unsafe-none"
    | "same-origin-allow-popups"
    | "same-origin"
    | "noopener-allow-popups"
    | null
    | undefined;
  /** Cross-Origin-Embedder-Policy. Default none. */
  readonly crossOriginEmbedderPolicy?: "unsafe-none" | "require-corp" | "credentialless" | null | undefined;
  /** Cross-Origin-Resource-Policy. Default none. */
  readonly crossOriginResourcePolicy?: "same-origin" | "same-site" | "cross-origin" | null | undefined;
  /** `true` sends Origin-Agent-Cluster: ?1. Default none. */
  readonly originAgentCluster?: boolean | null | undefined;
  /** X-DNS-Prefetch-Control: `on` or `off`. Default none. */
  readonly dnsPrefetchControl?: boolean | null | undefined;
  /** `true` sends X-Download-Options: noopen. Default none. */
  readonly downloadOptions?: boolean | null | undefined;
  /** X-Permitted-Cross-Domain-Policies. Default none. */
  readonly permittedCrossDomainPolicies?: "none" | "master-only" | "by-content-type" | "all" | null | undefined;
  /** Reporting-Endpoints, for example `{ csp: "https://reports.example/csp" }`. Default none. */
  readonly reportingEndpoints?: ReportingEndpoints | null | undefined;
  /** Headers that are taken from every response. Default `["X-Powered-By", "Server"]`. */
  readonly removeHeaders?: readonly string[] | undefined;
}

/** What a {@link SecurityHeadersConfig} keeps: `null` is `undefined` then, but for two options that have a default. */
export type SecurityHeadersValues = {
  readonly [Option in keyof Required<SecurityHeadersOptions>]: null extends SecurityHeadersOptions[Option]
    ? Exclude<SecurityHeadersOptions[Option], Option extends "xFrameOptions" | "referrerPolicy" ? undefined : null>
    : Exclude<SecurityHeadersOptions[Option], undefined>;
};

/** One year, in seconds: what the preload list asks for. */
const ONE_YEAR = 31_536_000;
/** Sixty-eight years: what a client with 32-bit numbers can hold. */
const LONGEST_MAX_AGE = 2 ** 31 - 1;

const { hsts, ...otherHeaders } = HEADER_READERS;

const READERS: Readers<SecurityHeadersValues> = {
  hsts,
  hstsMaxAge: integer(0, LONGEST_MAX_AGE, "seconds", ONE_YEAR),
  hstsIncludeSubdomains: flag(true),
  hstsPreload: flag(false),
  ...otherHeaders,
  removeHeaders: texts(["X-Powered-By", "Server"]),
};

/** Without these a response cannot be read, or is read as something else. */
const KEPT_HEADERS: readonly string[] = ["content-length", "content-type", "content-encoding", "transfer-encoding"];

/**
 * The security headers of every response.
 *
 * ```ts
 * new SecurityHeadersConfig({ hsts: true, xFrameOptions: "DENY", csp: new CSP().defaultSrc("'self'") });
 * ```
 *
 * A header without a default reads `undefined` and is not sent. A header that the handler set itself
 * wins over these.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns all that the table reads.
export class SecurityHeadersConfig {
  /** @throws ConfigError for an unknown field, a wrong value, or fields that contradict each other */
  constructor(options?: SecurityHeadersOptions) {
    strictConstruction("new SecurityHeadersConfig(options)", arguments);
    const fields = new Fields("SecurityHeadersConfig", options, READERS);
    if (fields.values.hstsPreload) checkPreload(fields);
    checkRemoved(fields);
    Object.freeze(Object.assign(this, fields.values));
  }

  /**
   * For JSON APIs: the answers are data, and nothing else. CSP `default-src 'none'` and no framing,
   * no referrer, no use by other origins without CORS, no opener.
   *
   * An API that pages of other origins may load without CORS needs
   * `crossOriginResourcePolicy: "cross-origin"`; with CORS it needs nothing here.
   *
   * @param overrides fields that replace those of the preset; `null` leaves a header out
   */
  static api(overrides?: SecurityHeadersOptions): SecurityHeadersConfig {
    return new SecurityHeadersConfig(API).extend(overrides);
  }

  /**
   * For web sites: scripts and styles of this origin or with the response's nonce, no plugins, forms
   * and frames of this origin, windows of other origins (sign-in, payment) keep working.
   *
   * @param overrides fields that replace those of the preset; `null` leaves a header out
   */
  static web(overrides?: SecurityHeadersOptions): SecurityHeadersConfig {
    return new SecurityHeadersConfig(WEB).extend(overrides);
  }

  /**
   * For sites that can afford it: only scripts with the response's nonce and what they load
   * (`'strict-dynamic'`), Trusted Types, cross-origin isolation, no framing, no referrer, no powerful
   * browser features.
   *
   * @param overrides fields that replace those of the preset; `null` leaves a header out
   */
  static strict(overrides?: SecurityHeadersOptions): SecurityHeadersConfig {
    return new SecurityHeadersConfig(STRICT).extend(overrides);
  }

  /**
   * A new configuration with some fields replaced, for example for one route.
   *
   * A field that is given replaces the whole field (for a CSP that adds to this one, give
   * `config.csp.extend(...)`); `null` leaves a header out; `undefined` changes nothing.
   *
   * ```ts
   * const embeddable = config.extend({ xFrameOptions: null, csp: new CSP().frameAncestors("https://partner.example") });
   * ```
   *
   * @throws ConfigError as the constructor does
   */
  extend(overrides: SecurityHeadersOptions = {}): SecurityHeadersConfig {
    const fields = new Fields("SecurityHeadersConfig", overrides, READERS);
    // By name, as the constructor reads them: an instance of a class may have them as getters.
    const given = Object.keys(READERS).filter((name) => fields.has(name));
    return new SecurityHeadersConfig({
      ...this,
      ...Object.fromEntries(given.map((name) => [name, fields.given(name)])),
    });
  }
}

export interface SecurityHeadersConfig extends SecurityHeadersValues {}

/** The list would refuse the host, and browsers never get the entry that the operator relies on. */
function checkPreload(fields: Fields<SecurityHeadersValues>): void {
  const { hsts, hstsMaxAge, hstsIncludeSubdomains } = fields.values;
  if (!hsts) fields.conflict("hstsPreload", "needs hsts", "set hsts: true, or leave hstsPreload out");
  if (hstsMaxAge < ONE_YEAR) {
    const problem = `needs an hstsMaxAge of at least ${ONE_YEAR} seconds, got ${hstsMaxAge}`;
    fields.conflict("hstsPreload", problem, `set hstsMaxAge: ${ONE_YEAR}, or leave hstsPreload out`);
  }
  if (!hstsIncludeSubdomains) {
    const mend = "set hstsIncludeSubdomains: true, or leave hstsPreload out";
    fields.conflict("hstsPreload", "needs hstsIncludeSubdomains", mend);
  }
}

function checkRemoved(fields: Fields<SecurityHeadersValues>): void {
  const sent = sentHeaders(fields.values);
  for (const name of fields.values.removeHeaders) {
    const lowerCaseName = name.toLowerCase();
    if (!isHttpToken(name)) {
      fields.invalid(
        "removeHeaders",
        `${JSON.stringify(name)} is not a header name`,
        'give names such as "X-Powered-By"',
      );
    }
    if (KEPT_HEADERS.includes(lowerCaseName)) {
      fields.invalid("removeHeaders", `no response can be read without ${name}`, "leave it out");
    }
    const header = sent.find((candidate) => candidate.name.toLowerCase() === lowerCaseName);
    if (header !== undefined) {
      const problem = `names ${header.name}, which this configuration sends`;
      fields.conflict("removeHeaders", problem, `switch ${header.option} off, or leave the name out`);
    }
  }
}

strictStatics(SecurityHeadersConfig, { api: "overrides", web: "overrides", strict: "overrides" });
strictMethods(SecurityHeadersConfig, { extend: "overrides" });
