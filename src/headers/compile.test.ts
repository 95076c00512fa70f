import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { type CompiledSecurityHeaders, compileSecurityHeaders } from "./compile.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "./config.js";
import { CSP } from "./csp/builder.js";

const NOTHING: SecurityHeadersOptions = {
  hsts: false,
  xFrameOptions: null,
  xContentTypeOptions: false,
  xXssProtection: false,
  referrerPolicy: null,
};

const VALUES: readonly (readonly [options: SecurityHeadersOptions, name: string, value: string])[] = [
  [{ hsts: true }, "Strict-Transport-Security", "max-age=31536000; includeSubDomains"],
  [{ hsts: true, hstsMaxAge: 0 }, "Strict-Transport-Security", "max-age=0; includeSubDomains"],
  [{ hsts: true, hstsMaxAge: 300, hstsIncludeSubdomains: false }, "Strict-Transport-Security", "max-age=300"],
  [
    { hsts: true, hstsMaxAge: 63_072_000, hstsPreload: true },
    "Strict-Transport-Security",
    "max-age=63072000; includeSubDomains; preload",
  ],
  [{ xFrameOptions: "DENY" }, "X-Frame-Options", "DENY"],
  [{ xFrameOptions: "SAMEORIGIN" }, "X-Frame-Options", "SAMEORIGIN"],
  [{ xContentTypeOptions: true }, "X-Content-Type-Options", "nosniff"],
  [{ xXssProtection: true }, "X-XSS-Protection", "1; mode=block"],
  [{ xXssProtection: "0" }, "X-XSS-Protection", "0"],
  [{ referrerPolicy: "no-referrer" }, "Referrer-Policy", "no-referrer"],
  [{ referrerPolicy: "no-referrer-when-downgrade" }, "Referrer-Policy", "no-referrer-when-downgrade"],
  [{ referrerPolicy: "same-origin" }, "Referrer-Policy", "same-origin"],
  [{ referrerPolicy: "origin" }, "Referrer-Policy", "origin"],
  [{ referrerPolicy: "strict-origin" }, "Referrer-Policy", "strict-origin"],
  [{ referrerPolicy: "origin-when-cross-origin" }, "Referrer-Policy", "origin-when-cross-origin"],
  [{ referrerPolicy: "unsafe-url" }, "Referrer-Policy", "unsafe-url"],
  [
    { referrerPolicy: "no-referrer,strict-origin-when-cross-origin" },
    "Referrer-Policy",
    "no-referrer, strict-origin-when-cross-origin",
  ],
  [{ csp: new CSP().defaultSrc("'self'") }, "Content-Security-Policy", "default-src 'self'"],
  [{ cspReportOnly: new CSP().imgSrc("*") }, "Content-Security-Policy-Report-Only", "img-src *"],
  [
    { permissionsPolicy: { geolocation: [], camera: ["self", "https://a.example"] } },
    "Permissions-Policy",
    'geolocation=(), camera=(self "https://a.example")',
  ],
  [
    { permissionsPolicy: { fullscreen: ["*"], usb: ["https://*.a.example:8443", "http://localhost:3000"] } },
    "Permissions-Policy",
    'fullscreen=*, usb=("https://*.a.example:8443" "http://localhost:3000")',
  ],
  [{ crossOriginOpenerPolicy: "unsafe-none" }, "Cross-Origin-Opener-Policy", "unsafe-none"],
  [{ crossOriginOpenerPolicy: "same-origin" }, "Cross-Origin-Opener-Policy", "same-origin"],
  [{ crossOriginOpenerPolicy: "same-origin-allow-popups" }, "Cross-Origin-Opener-Policy", "same-origin-allow-popups"],
  [{ crossOriginOpenerPolicy: "noopener-allow-popups" }, "Cross-Origin-Opener-Policy", "noopener-allow-popups"],
  [{ crossOriginEmbedderPolicy: "unsafe-none" }, "Cross-Origin-Embedder-Policy", "unsafe-none"],
  [{ crossOriginEmbedderPolicy: "require-corp" }, "Cross-Origin-Embedder-Policy", "require-corp"],
  [{ crossOriginEmbedderPolicy: "credentialless" }, "Cross-Origin-Embedder-Policy", "credentialless"],
  [{ crossOriginResourcePolicy: "same-origin" }, "Cross-Origin-Resource-Policy", "same-origin"],
  [{ crossOriginResourcePolicy: "same-site" }, "Cross-Origin-Resource-Policy", "same-site"],
  [{ crossOriginResourcePolicy: "cross-origin" }, "Cross-Origin-Resource-Policy", "cross-origin"],
  [{ originAgentCluster: true }, "Origin-Agent-Cluster", "?1"],
  [{ dnsPrefetchControl: true }, "X-DNS-Prefetch-Control", "on"],
  [{ dnsPrefetchControl: false }, "X-DNS-Prefetch-Control", "off"],
  [{ downloadOptions: true }, "X-Download-Options", "noopen"],
  [{ permittedCrossDomainPolicies: "none" }, "X-Permitted-Cross-Domain-Policies", "none"],
  [{ permittedCrossDomainPolicies: "master-only" }, "X-Permitted-Cross-Domain-Policies", "master-only"],
  [{ permittedCrossDomainPolicies: "by-content-type" }, "X-Permitted-Cross-Domain-Policies", "by-content-type"],
  [{ permittedCrossDomainPolicies: "all" }, "X-Permitted-Cross-Domain-Policies", "all"],
  [
    { reportingEndpoints: { csp: "https://r.example/csp?a=b", own: "/reports", dev: "http://localhost:8000/" } },
    "Reporting-Endpoints",
    'csp="https://r.example/csp?a=b", own="/reports", dev="http://localhost:8000/"',
  ],
];

describe("compileSecurityHeaders", () => {
  it("sends the documented defaults", () => {
    expect(compiled({}).lines).toEqual([
      "Strict-Transport-Security",
      "max-age=31536000; includeSubDomains",
      "X-Frame-Options",
      "DENY",
      "X-Content-Type-Options",
      "nosniff",
      "X-XSS-Protection",
      "1; mode=block",
      "Referrer-Policy",
      "strict-origin-when-cross-origin",
    ]);
  });

  it.each(VALUES)("writes %o as %s: %s", (options, name, value) => {
    expect(compiled({ ...NOTHING, ...options }).lines).toEqual([name, value]);
  });

  it("sends nothing when all is off, and for empty records", () => {
    const off: SecurityHeadersOptions = { ...NOTHING, originAgentCluster: false, downloadOptions: false };
    expect(compiled({ ...off, permissionsPolicy: {}, reportingEndpoints: {} }).lines).toEqual([]);
  });

  it("knows every name that it sends, fixed or with a nonce", () => {
    const { names } = compiled({ ...NOTHING, xFrameOptions: "DENY", csp: new CSP().scriptSrc(CSP.NONCE) });
    expect(names).toEqual(["x-frame-options", "content-security-policy"]);
  });

  it("splits a policy around the places of its nonce", () => {
    const csp = new CSP().scriptSrc("'self'", CSP.NONCE).styleSrc(CSP.NONCE);
    const { lines, nonceLines } = compiled({ ...NOTHING, csp, cspReportOnly: csp });
    expect(lines).toEqual([]);
    expect(nonceLines.map(({ name }) => name)).toEqual([
      "Content-Security-Policy",
      "Content-Security-Policy-Report-Only",
    ]);
    expect(nonceLines[0]?.value("AAAA")).toBe("script-src 'self' 'nonce-AAAA'; style-src 'nonce-AAAA'");
    expect(nonceLines[0]?.value("AAAA")).toBe(csp.build("AAAA"));
  });

  it("needs no nonce for a fixed policy", () => {
    const { nonceLines } = compiled({ csp: new CSP().scriptSrc("'self'") });
    expect(nonceLines).toEqual([]);
  });

  it("takes the text of the nonce's place for text in other headers", () => {
    const { lines, nonceLines } = compiled({ ...NOTHING, reportingEndpoints: { a: "https://r.example/{nonce}" } });
    expect(lines).toEqual(["Reporting-Endpoints", 'a="https://r.example/{nonce}"']);
    expect(nonceLines).toEqual([]);
  });

  it("names the removed headers once, in lower case", () => {
    expect(compiled({}).removed).toEqual(["x-powered-by", "server"]);
    expect(compiled({ removeHeaders: ["Via", "VIA", "Server"] }).removed).toEqual(["via", "server"]);
    expect(compiled({ removeHeaders: [] }).removed).toEqual([]);
  });

  it("is frozen", () => {
    const result = compiled({ csp: new CSP().scriptSrc(CSP.NONCE) });
    const [line] = result.nonceLines;
    for (const part of [result, result.lines, result.nonceLines, result.names, result.removed, line]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it("refuses a value that cannot stand in a header, even where the configuration let it through", () => {
    const config = new SecurityHeadersConfig();
    for (const referrerPolicy of ["a\r\nb", "", " a", "é", "a\u0000"]) {
      const forged = Object.create(config, { referrerPolicy: { value: referrerPolicy } });
      expect(() => compileSecurityHeaders(forged)).toThrow(ConfigError);
    }
  });
});

function compiled(options: SecurityHeadersOptions): CompiledSecurityHeaders {
  return compileSecurityHeaders(new SecurityHeadersConfig(options));
}
