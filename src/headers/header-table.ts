import { describe, type Fields, flag, oneOf, type Reader, text } from "../core/options.js";
import type { SecurityHeadersOptions, SecurityHeadersValues } from "./config.js";
import { CSP } from "./csp/builder.js";
import { readPermissionsPolicy, writePermissionsPolicy } from "./permissions-policy.js";
import { readReportingEndpoints, writeReportingEndpoints } from "./reporting-endpoints.js";

/** An option that switches a header on. */
type HeaderOption = Exclude<
  keyof SecurityHeadersOptions,
  "hstsMaxAge" | "hstsIncludeSubdomains" | "hstsPreload" | "removeHeaders"
>;

/** A response header that a configuration can send. */
interface SecurityHeader<Value> {
  /** The name as its specification spells it. */
  readonly name: string;
  readonly read: Reader<Value>;
  /** The header's value for that of the option; nothing: the header is not sent. */
  readonly write: (value: Value, config: SecurityHeadersValues) => string | null | undefined;
}

/** Every header by its option, in the order of sending, with its specification and the reason for it. */
const HEADERS: { readonly [Option in HeaderOption]: SecurityHeader<SecurityHeadersValues[Option]> } = {
  // RFC 6797: for that many seconds the browser speaks to this host by HTTPS only, and lets no user click a
  // certificate error away. Browsers ignore it over plain HTTP. `preload` is no part of the RFC: it asks for
  // a place in the list that browsers are shipped with.
  hsts: {
    name: "Strict-Transport-Security",
    read: flag(true),
    write: (isOn, { hstsMaxAge, hstsIncludeSubdomains, hstsPreload }) => {
      const subdomains = hstsIncludeSubdomains ? "; includeSubDomains" : "";
      return isOn ? `max-age=${hstsMaxAge}${subdomains}${hstsPreload ? "; preload" : ""}` : undefined;
    },
  },
  // RFC 7034, and HTML, "The `X-Frame-Options` header": who may frame the page, against clickjacking. Where a
  // CSP has `frame-ancestors`, browsers that know it look at that alone. `ALLOW-FROM` is dead.
  xFrameOptions: {
    name: "X-Frame-Options",
    read: oneOf(["DENY", "SAMEORIGIN", null], "DENY"),
    write: (value) => value,
  },
  // Fetch, "`X-Content-Type-Options` header": the browser believes the declared type, so that an uploaded
  // text is not run as a script.
  xContentTypeOptions: {
    name: "X-Content-Type-Options",
    read: flag(true),
    write: (isOn) => (isOn ? "nosniff" : undefined),
  },
  // No specification; a filter that Internet Explorer, older Chrome and older Safari had. `mode=block` blanks
  // the page, where the filter's repair mode could be used to switch off chosen scripts. `"0"` switches the
  // filter off, which is enough where a CSP is sent.
  xXssProtection: {
    name: "X-XSS-Protection",
    read: oneOf([true, false, "0"], true),
    write: (value) => (value === true ? "1; mode=block" : value || undefined),
  },
  // W3C Referrer Policy: how much of the URL, which may hold a secret, other sites learn when a link is
  // followed or a resource loaded.
  referrerPolicy: {
    name: "Referrer-Policy",
    read: readReferrerPolicy,
    write: (value) => value,
  },
  // W3C CSP Level 3: what the page may load and run, so that injected markup is not run as code. The value
  // holds the slot of the nonce where the policy has one.
  csp: {
    name: "Content-Security-Policy",
    read: readCsp,
    write: (policy) => policy?.toString(),
  },
  // W3C CSP Level 3 section 3.2: a policy that is only reported, to try one before it is enforced. `sandbox`
  // has no effect in it.
  cspReportOnly: {
    name: "Content-Security-Policy-Report-Only",
    read: readCsp,
    write: (policy) => policy?.toString(),
  },
  // W3C Permissions Policy: which browser features (camera, geolocation...) the page and its frames may use,
  // so that injected code and embedded sites cannot ask for them.
  permissionsPolicy: {
    name: "Permissions-Policy",
    read: readPermissionsPolicy,
    write: writePermissionsPolicy,
  },
  // HTML, "Cross-origin opener policies": pages of other origins that open this one, or that it opens, get no
  // handle on its window (XS-Leaks, Spectre).
  crossOriginOpenerPolicy: {
    name: "Cross-Origin-Opener-Policy",
    read: oneOfOrNone("unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups"),
    write: (value) => value,
  },
  // HTML, "Cross-origin embedder policies": the page loads from other origins only what agrees to it. With an
  // opener policy of `same-origin` the page is cross-origin isolated.
  crossOriginEmbedderPolicy: {
    name: "Cross-Origin-Embedder-Policy",
    read: oneOfOrNone("unsafe-none", "require-corp", "credentialless"),
    write: (value) => value,
  },
  // Fetch, "`Cross-Origin-Resource-Policy` header": whose pages may load this response without CORS, so that
  // it does not come into another site's process (Spectre, cross-site script inclusion).
  crossOriginResourcePolicy: {
    name: "Cross-Origin-Resource-Policy",
    read: oneOfOrNone("same-origin", "same-site", "cross-origin"),
    write: (value) => value,
  },
  // HTML, "Origin-keyed agent clusters": the page shares no process memory with other origins of its site,
  // and gives up `document.domain`. A boolean of structured fields (RFC 9651 section 3.3.6).
  originAgentCluster: {
    name: "Origin-Agent-Cluster",
    read: oneOfOrNone(true, false),
    write: (isOn) => (isOn === true ? "?1" : undefined),
  },
  // No specification; Chromium and Firefox: with `off`, links on the page are not looked up in advance, which
  // would tell the resolver what the page links to. `true` asks for it.
  dnsPrefetchControl: {
    name: "X-DNS-Prefetch-Control",
    read: oneOfOrNone(true, false),
    write: (isOn) => (isOn === false ? "off" : isOn && "on"),
  },
  // No specification; Internet Explorer: a download is saved, not opened in the context of the site.
  downloadOptions: {
    name: "X-Download-Options",
    read: oneOfOrNone(true, false),
    write: (isOn) => (isOn === true ? "noopen" : undefined),
  },
  // Adobe's cross-domain policy specification: whether Acrobat and old Flash may read policy files of this
  // host, which let other sites read its data.
  permittedCrossDomainPolicies: {
    name: "X-Permitted-Cross-Domain-Policies",
    read: oneOfOrNone("none", "master-only", "by-content-type", "all"),
    write: (value) => value,
  },
  // W3C Reporting API section 3.2: where the browser sends reports about violated policies.
  reportingEndpoints: {
    name: "Reporting-Endpoints",
    read: readReportingEndpoints,
    write: writeReportingEndpoints,
  },
};

/** The reader of each header's option. */
export const HEADER_READERS = Object.fromEntries(
  Object.entries(HEADERS).map(([option, { read }]) => [option, read]),
) as { readonly [Option in HeaderOption]: Reader<SecurityHeadersValues[Option]> }; // each under its option

/** A header with its value, and the option that switched it on. */
export interface SentHeader {
  readonly option: HeaderOption;
  readonly name: string;
  readonly value: string;
}

export function sentHeaders(config: SecurityHeadersValues): readonly SentHeader[] {
  const options = Object.keys(HEADERS) as HeaderOption[]; // its type lets in no other keys
  return options.flatMap((option) => {
    const value = writeOption(option, config);
    return typeof value === "string" ? [{ option, name: HEADERS[option].name, value }] : [];
  });
}

function writeOption<Option extends HeaderOption>(option: Option, config: SecurityHeadersValues) {
  return HEADERS[option].write(config[option], config);
}

/** One of some values; `null` and no value at all: the header is not sent. */
function oneOfOrNone<Value extends string | boolean>(...values: readonly Value[]): Reader<Value | undefined> {
  const read = oneOf<Value | null, undefined>([...values, null], undefined);
  return (fields, name) => read(fields, name) ?? undefined;
}

/** The policies of W3C Referrer Policy section 3. */
const REFERRER_POLICIES: readonly string[] = [
  "no-referrer",
  "no-referrer-when-downgrade",
  "same-origin",
  "origin",
  "strict-origin",
  "origin-when-cross-origin",
  "strict-origin-when-cross-origin",
  "unsafe-url",
];

/**
 * Reads a policy, or several separated by commas: a browser takes the last one that it knows
 * (section 4.1), so that new ones can stand behind old ones.
 */
function readReferrerPolicy(fields: Fields, name: string): string | null {
  if (fields.given(name) === null) return null;
  const given = text("strict-origin-when-cross-origin")(fields, name);
  const policies = given.split(",").map((policy) => policy.trim());
  const unknown = policies.find((policy) => !REFERRER_POLICIES.includes(policy));
  if (unknown !== undefined) {
    const mend = `give one of ${REFERRER_POLICIES.join(", ")}, or null for no header`;
    fields.invalid(name, `${JSON.stringify(unknown)} is not a referrer policy`, mend);
  }
  return policies.join(", ");
}

function readCsp(fields: Fields, name: string): CSP | undefined {
  const value = fields.given(name) ?? undefined;
  if (value === undefined) return undefined;
  if (!(value instanceof CSP)) {
    fields.wrongType(name, `must be a CSP, got ${describe(value)}`, `build it: new CSP().defaultSrc("'self'")`);
  }
  if (value.isEmpty) fields.invalid(name, "has no directives and allows everything", "add some, or leave it out");
  // The configuration is sent with every response: an attacker who reads one can use its nonce in another.
  if (value.hasFixedNonce) fields.invalid(name, "has a nonce that is the same in every response", "use CSP.NONCE");
  return value.snapshot();
}
