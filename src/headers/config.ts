import { ConfigFields, describe, isHttpToken } from "../core/options.js";
import { strictConstruction, strictMethods, strictStatics } from "../core/strict-calls.js";
import { CROSS_ORIGIN_EMBEDDER_POLICIES, type CrossOriginEmbedderPolicy } from "./cross-origin-embedder-policy.js";
import { CROSS_ORIGIN_OPENER_POLICIES, type CrossOriginOpenerPolicy } from "./cross-origin-opener-policy.js";
import { CROSS_ORIGIN_RESOURCE_POLICIES, type CrossOriginResourcePolicy } from "./cross-origin-resource-policy.js";
import { CSP } from "./csp/builder.js";
import type { SecurityHeadersOptions } from "./options.js";
import { type PermissionsPolicy, readPermissionsPolicy } from "./permissions-policy.js";
import { API, STRICT, WEB } from "./presets.js";
import { readReferrerPolicy } from "./referrer-policy.js";
import { type ReportingEndpoints, readReportingEndpoints } from "./reporting-endpoints.js";
import { SECURITY_HEADERS } from "./security-headers.js";
import { X_FRAME_OPTIONS, type XFrameOptions } from "./x-frame-options.js";
import { CROSS_DOMAIN_POLICIES, type CrossDomainPolicy } from "./x-permitted-cross-domain-policies.js";

export type { SecurityHeadersOptions } from "./options.js";

const SUBJECT = "SecurityHeadersConfig";
const FIELDS: readonly (keyof SecurityHeadersOptions)[] = [
  "hsts",
  "hstsMaxAge",
  "hstsIncludeSubdomains",
  "hstsPreload",
  "xFrameOptions",
  "xContentTypeOptions",
  "xXssProtection",
  "referrerPolicy",
  "csp",
  "cspReportOnly",
  "permissionsPolicy",
  "crossOriginOpenerPolicy",
  "crossOriginEmbedderPolicy",
  "crossOriginResourcePolicy",
  "originAgentCluster",
  "dnsPrefetchControl",
  "downloadOptions",
  "permittedCrossDomainPolicies",
  "reportingEndpoints",
  "removeHeaders",
];

/** One year, in seconds: what the preload list asks for. */
const ONE_YEAR = 31_536_000;
/** Sixty-eight years: what a client with 32-bit numbers can hold. */
const LONGEST_MAX_AGE = 2 ** 31 - 1;

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
export class SecurityHeadersConfig {
  readonly hsts: boolean;
  /** Seconds. */
  readonly hstsMaxAge: number;
  readonly hstsIncludeSubdomains: boolean;
  readonly hstsPreload: boolean;
  readonly xFrameOptions: XFrameOptions | null;
  readonly xContentTypeOptions: boolean;
  readonly xXssProtection: boolean | "0";
  readonly referrerPolicy: string | null;
  /** A snapshot of the given policy: later calls on that one do not change it. */
  readonly csp: CSP | undefined;
  /** A snapshot of the given policy. */
  readonly cspReportOnly: CSP | undefined;
  readonly permissionsPolicy: PermissionsPolicy | undefined;
  readonly crossOriginOpenerPolicy: CrossOriginOpenerPolicy | undefined;
  readonly crossOriginEmbedderPolicy: CrossOriginEmbedderPolicy | undefined;
  readonly crossOriginResourcePolicy: CrossOriginResourcePolicy | undefined;
  readonly originAgentCluster: boolean | undefined;
  readonly dnsPrefetchControl: boolean | undefined;
  readonly downloadOptions: boolean | undefined;
  readonly permittedCrossDomainPolicies: CrossDomainPolicy | undefined;
  readonly reportingEndpoints: ReportingEndpoints | undefined;
  readonly removeHeaders: readonly string[];

  /** @throws ConfigError for an unknown field, a wrong value, or fields that contradict each other */
  constructor(options?: SecurityHeadersOptions) {
    strictConstruction("new SecurityHeadersConfig(options)", arguments);
    const fields = new ConfigFields(SUBJECT, options, FIELDS);
    this.hsts = fields.boolean("hsts", true);
    this.hstsMaxAge = fields.number("hstsMaxAge", ONE_YEAR, {
      min: 0,
      max: LONGEST_MAX_AGE,
      whole: true,
      unit: "seconds",
    });
    this.hstsIncludeSubdomains = fields.boolean("hstsIncludeSubdomains", true);
    this.hstsPreload = fields.boolean("hstsPreload", false);
    this.xFrameOptions = fields.oneOf("xFrameOptions", [...X_FRAME_OPTIONS, null], "DENY");
    this.xContentTypeOptions = fields.boolean("xContentTypeOptions", true);
    this.xXssProtection = fields.oneOf("xXssProtection", [true, false, "0"], true);
    this.referrerPolicy = readReferrerPolicy(fields, "strict-origin-when-cross-origin");
    this.csp = readCsp(fields, "csp");
    this.cspReportOnly = readCsp(fields, "cspReportOnly");
    this.permissionsPolicy = readPermissionsPolicy(fields);
    this.crossOriginOpenerPolicy = oneOfOrNone(fields, "crossOriginOpenerPolicy", CROSS_ORIGIN_OPENER_POLICIES);
    this.crossOriginEmbedderPolicy = oneOfOrNone(fields, "crossOriginEmbedderPolicy", CROSS_ORIGIN_EMBEDDER_POLICIES);
    this.crossOriginResourcePolicy = oneOfOrNone(fields, "crossOriginResourcePolicy", CROSS_ORIGIN_RESOURCE_POLICIES);
    this.originAgentCluster = oneOfOrNone(fields, "originAgentCluster", [true, false]);
    this.dnsPrefetchControl = oneOfOrNone(fields, "dnsPrefetchControl", [true, false]);
    this.downloadOptions = oneOfOrNone(fields, "downloadOptions", [true, false]);
    this.permittedCrossDomainPolicies = oneOfOrNone(fields, "permittedCrossDomainPolicies", CROSS_DOMAIN_POLICIES);
    this.reportingEndpoints = readReportingEndpoints(fields);
    this.removeHeaders = fields.strings("removeHeaders") ?? Object.freeze(["X-Powered-By", "Server"]);
    this.#checkPreload(fields);
    this.#checkRemoved(fields);
    Object.freeze(this);
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
    new ConfigFields(SUBJECT, overrides, FIELDS);
    // By name, as the constructor reads them: an instance of a class may have them as getters.
    const given = FIELDS.map((field) => [field, overrides[field]]).filter(([, value]) => value !== undefined);
    return new SecurityHeadersConfig({ ...this, ...Object.fromEntries(given) });
  }

  /** The list would refuse the host, and browsers never get the entry that the operator relies on. */
  #checkPreload(fields: ConfigFields): void {
    if (!this.hstsPreload) return;
    if (!this.hsts) {
      fields.fail("CELLO_CONFLICT", "hstsPreload", "needs hsts", "set hsts: true, or leave hstsPreload out");
    }
    if (this.hstsMaxAge < ONE_YEAR) {
      fields.fail(
        "CELLO_CONFLICT",
        "hstsPreload",
        `needs an hstsMaxAge of at least ${ONE_YEAR} seconds, got ${this.hstsMaxAge}`,
        `set hstsMaxAge: ${ONE_YEAR}, or leave hstsPreload out`,
      );
    }
    if (!this.hstsIncludeSubdomains) {
      fields.fail(
        "CELLO_CONFLICT",
        "hstsPreload",
        "needs hstsIncludeSubdomains",
        "set hstsIncludeSubdomains: true, or leave hstsPreload out",
      );
    }
  }

  #checkRemoved(fields: ConfigFields): void {
    for (const name of this.removeHeaders) {
      const lowerCaseName = name.toLowerCase();
      if (!isHttpToken(name)) {
        fields.fail(
          "CELLO_INVALID_VALUE",
          "removeHeaders",
          `${JSON.stringify(name)} is not a header name`,
          'give names such as "X-Powered-By"',
        );
      }
      if (KEPT_HEADERS.includes(lowerCaseName)) {
        fields.fail("CELLO_INVALID_VALUE", "removeHeaders", `no response can be read without ${name}`, "leave it out");
      }
      const sent = SECURITY_HEADERS.find((header) => header.name.toLowerCase() === lowerCaseName);
      if (sent?.value(this) !== undefined) {
        fields.fail(
          "CELLO_CONFLICT",
          "removeHeaders",
          `names ${sent.name}, which this configuration sends`,
          `switch ${sent.field} off, or leave the name out`,
        );
      }
    }
  }
}

function oneOfOrNone<Value extends string | boolean>(
  fields: ConfigFields,
  field: string,
  values: readonly Value[],
): Value | undefined {
  return fields.oneOf<Value | null, undefined>(field, [...values, null], undefined) ?? undefined;
}

function readCsp(fields: ConfigFields, field: string): CSP | undefined {
  const value = fields.raw(field);
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof CSP)) {
    fields.fail(
      "CELLO_WRONG_TYPE",
      field,
      `must be a CSP, got ${describe(value)}`,
      `build it: new CSP().defaultSrc("'self'")`,
    );
  }
  if (value.isEmpty) {
    fields.fail("CELLO_INVALID_VALUE", field, "has no directives and allows everything", "add some, or leave it out");
  }
  // The configuration is sent with every response: whoever reads one can use its nonce in another.
  if (value.hasFixedNonce) {
    fields.fail("CELLO_INVALID_VALUE", field, "has a nonce that is the same in every response", "use CSP.NONCE");
  }
  return value.snapshot();
}

strictStatics(SecurityHeadersConfig, { api: "overrides", web: "overrides", strict: "overrides" });
strictMethods(SecurityHeadersConfig, { extend: "overrides" });
