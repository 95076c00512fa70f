import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { SecurityHeadersConfig } from "./config.js";
import { CSP } from "./csp/builder.js";

const FRAME_FREE = new CSP().defaultSrc("'self'").frameAncestors("'none'");

describe("SecurityHeadersConfig", () => {
  it("has the documented defaults", () => {
    expect({ ...new SecurityHeadersConfig() }).toEqual({
      hsts: true,
      hstsMaxAge: 31_536_000,
      hstsIncludeSubdomains: true,
      hstsPreload: false,
      xFrameOptions: "DENY",
      xContentTypeOptions: true,
      xXssProtection: true,
      referrerPolicy: "strict-origin-when-cross-origin",
      csp: undefined,
      cspReportOnly: undefined,
      permissionsPolicy: undefined,
      crossOriginOpenerPolicy: undefined,
      crossOriginEmbedderPolicy: undefined,
      crossOriginResourcePolicy: undefined,
      originAgentCluster: undefined,
      dnsPrefetchControl: undefined,
      downloadOptions: undefined,
      permittedCrossDomainPolicies: undefined,
      reportingEndpoints: undefined,
      removeHeaders: ["X-Powered-By", "Server"],
    });
  });

  it("takes undefined as not given", () => {
    const options = { hsts: undefined, csp: undefined, removeHeaders: undefined, xFrameOptions: undefined };
    expect({ ...new SecurityHeadersConfig(options) }).toEqual({ ...new SecurityHeadersConfig() });
  });

  it("is frozen, and so are its lists and records", () => {
    const config = new SecurityHeadersConfig({
      permissionsPolicy: { camera: ["self"] },
      reportingEndpoints: { csp: "https://r.example/" },
    });
    for (const part of [
      config,
      config.removeHeaders,
      config.permissionsPolicy,
      config.permissionsPolicy?.camera,
      config.reportingEndpoints,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it("keeps copies of what it was given", () => {
    const camera = ["self"];
    const permissionsPolicy = { camera };
    const csp = new CSP().defaultSrc("'self'");
    const config = new SecurityHeadersConfig({ permissionsPolicy, csp });
    camera.push("https://evil.example");
    csp.scriptSrc("'unsafe-inline'");
    expect(config.permissionsPolicy).toEqual({ camera: ["self"] });
    expect(config.csp?.toString()).toBe("default-src 'self'");
    expect(() => config.csp?.imgSrc("*")).toThrow(ConfigError);
  });

  it("prints its policy as text", () => {
    const config = new SecurityHeadersConfig({ csp: FRAME_FREE });
    expect(JSON.parse(JSON.stringify(config)).csp).toBe("default-src 'self'; frame-ancestors 'none'");
    expect(inspect(config)).toContain(`csp: CSP { "default-src 'self'; frame-ancestors 'none'" }`);
  });
});

describe("SecurityHeadersConfig.extend", () => {
  it("replaces the fields that are given and keeps the others", () => {
    const base = new SecurityHeadersConfig({ csp: FRAME_FREE, crossOriginOpenerPolicy: "same-origin", hstsMaxAge: 60 });
    const extended = base.extend({ xFrameOptions: "SAMEORIGIN", hstsMaxAge: undefined });
    expect(extended.csp?.toString()).toBe(FRAME_FREE.toString());
    expect(extended).toMatchObject({
      xFrameOptions: "SAMEORIGIN",
      hstsMaxAge: 60,
      crossOriginOpenerPolicy: "same-origin",
    });
    expect(base.xFrameOptions).toBe("DENY");
  });

  it("leaves a header out for null", () => {
    const extended = SecurityHeadersConfig.strict({ cspReportOnly: FRAME_FREE }).extend({
      csp: null,
      cspReportOnly: null,
      xFrameOptions: null,
      referrerPolicy: null,
      permissionsPolicy: null,
      crossOriginOpenerPolicy: null,
      crossOriginEmbedderPolicy: null,
      crossOriginResourcePolicy: null,
      originAgentCluster: null,
      dnsPrefetchControl: null,
      downloadOptions: null,
      permittedCrossDomainPolicies: null,
      reportingEndpoints: null,
    });
    expect({ ...extended }).toEqual({
      ...new SecurityHeadersConfig({ xFrameOptions: null, referrerPolicy: null, xXssProtection: "0" }),
    });
  });

  it("checks the whole that comes out", () => {
    const preloaded = new SecurityHeadersConfig({ hstsPreload: true });
    expect(() => preloaded.extend({ hstsMaxAge: 300 })).toThrow(
      /hstsPreload: needs an hstsMaxAge of at least 31536000/,
    );
    expect(() => preloaded.extend(JSON.parse('{"hst":true}'))).toThrow(/hst: no such field; did you mean "hsts"/);
    expect(() => preloaded.extend(JSON.parse("null"))).toThrow(ConfigError);
  });
});

describe("the presets", () => {
  it("have no weakness that lint calls worse than low", () => {
    for (const config of [SecurityHeadersConfig.api(), SecurityHeadersConfig.web(), SecurityHeadersConfig.strict()]) {
      expect(config.csp?.lint().filter((finding) => !["low", "info"].includes(finding.severity))).toEqual([]);
    }
    expect(SecurityHeadersConfig.strict().csp?.lint()).toEqual([]);
  });

  it("take overrides, and refuse unknown ones", () => {
    expect(SecurityHeadersConfig.api({ crossOriginResourcePolicy: "cross-origin" })).toMatchObject({
      crossOriginResourcePolicy: "cross-origin",
      referrerPolicy: "no-referrer",
    });
    expect(SecurityHeadersConfig.web({ csp: FRAME_FREE }).csp?.toString()).toBe(FRAME_FREE.toString());
    expect(() => SecurityHeadersConfig.strict(JSON.parse('{"cps":1}'))).toThrow(/did you mean "csp"/);
  });

  it("isolate the page in strict", () => {
    expect(SecurityHeadersConfig.strict()).toMatchObject({
      crossOriginOpenerPolicy: "same-origin",
      crossOriginEmbedderPolicy: "require-corp",
    });
  });
});

/** Options as they come from JavaScript, where no type checks them. */
type Wrong = Readonly<Record<string, unknown>>;

const WRONG: readonly (readonly [options: Wrong, field: string, problem: RegExp, code: string])[] = [
  [{ hst: true }, "hst", /no such field; did you mean "hsts"/, "CELLO_UNKNOWN_FIELD"],
  [{ frameguard: "DENY" }, "frameguard", /no such field; its fields are hsts/, "CELLO_UNKNOWN_FIELD"],
  [{ hsts: "true" }, "hsts", /must be true or false/, "CELLO_WRONG_TYPE"],
  [{ hsts: null }, "hsts", /must be true or false/, "CELLO_WRONG_TYPE"],
  [{ hstsMaxAge: "31536000" }, "hstsMaxAge", /must be a number/, "CELLO_WRONG_TYPE"],
  [{ hstsMaxAge: -1 }, "hstsMaxAge", /out of range/, "CELLO_OUT_OF_RANGE"],
  [{ hstsMaxAge: 0.5 }, "hstsMaxAge", /whole number/, "CELLO_OUT_OF_RANGE"],
  [{ hstsMaxAge: Number.NaN }, "hstsMaxAge", /NaN is out of range/, "CELLO_OUT_OF_RANGE"],
  [{ hstsMaxAge: Number.POSITIVE_INFINITY }, "hstsMaxAge", /out of range/, "CELLO_OUT_OF_RANGE"],
  [{ hstsMaxAge: 1e30 }, "hstsMaxAge", /out of range/, "CELLO_OUT_OF_RANGE"],
  [{ hstsIncludeSubdomains: 1 }, "hstsIncludeSubdomains", /must be true or false/, "CELLO_WRONG_TYPE"],
  [{ hstsPreload: "yes" }, "hstsPreload", /must be true or false/, "CELLO_WRONG_TYPE"],
  [{ hstsPreload: true, hstsMaxAge: 31_535_999 }, "hstsPreload", /at least 31536000 seconds/, "CELLO_CONFLICT"],
  [{ hstsPreload: true, hstsIncludeSubdomains: false }, "hstsPreload", /needs hstsIncludeSubdomains/, "CELLO_CONFLICT"],
  [{ hstsPreload: true, hsts: false }, "hstsPreload", /needs hsts;/, "CELLO_CONFLICT"],
  [{ xFrameOptions: "deny" }, "xFrameOptions", /give one of "DENY", "SAMEORIGIN", null/, "CELLO_INVALID_VALUE"],
  [{ xFrameOptions: "ALLOW-FROM https://a.example" }, "xFrameOptions", /not one of/, "CELLO_INVALID_VALUE"],
  [{ xFrameOptions: "DENY\r\nSet-Cookie: a=b" }, "xFrameOptions", /not one of/, "CELLO_INVALID_VALUE"],
  [{ xContentTypeOptions: "nosniff" }, "xContentTypeOptions", /must be true or false/, "CELLO_WRONG_TYPE"],
  [{ xXssProtection: "1" }, "xXssProtection", /give one of true, false, "0"/, "CELLO_INVALID_VALUE"],
  [{ xXssProtection: 0 }, "xXssProtection", /not one of/, "CELLO_INVALID_VALUE"],
  [
    { csp: new CSP().scriptSrc("'nonce-c3RhdGljIG5vbmNl'") },
    "csp",
    /has a nonce that is the same in every response; use CSP.NONCE/,
    "CELLO_INVALID_VALUE",
  ],
  [
    { cspReportOnly: new CSP().defaultSrc("'self'").styleSrc(CSP.NONCE, "'nonce-abc'") },
    "cspReportOnly",
    /the same in every response/,
    "CELLO_INVALID_VALUE",
  ],
  [{ referrerPolicy: "" }, "referrerPolicy", /empty string/, "CELLO_INVALID_VALUE"],
  [{ referrerPolicy: "never" }, "referrerPolicy", /"never" is not a referrer policy/, "CELLO_INVALID_VALUE"],
  [{ referrerPolicy: "no-referrer," }, "referrerPolicy", /"" is not a referrer policy/, "CELLO_INVALID_VALUE"],
  [{ referrerPolicy: "no-referrer\r\nX: y" }, "referrerPolicy", /control character/, "CELLO_INVALID_VALUE"],
  [{ referrerPolicy: ["no-referrer"] }, "referrerPolicy", /must be a string/, "CELLO_WRONG_TYPE"],
  [{ csp: "default-src 'self'" }, "csp", /must be a CSP.*new CSP\(\)/, "CELLO_WRONG_TYPE"],
  [{ csp: { defaultSrc: ["'self'"] } }, "csp", /must be a CSP/, "CELLO_WRONG_TYPE"],
  [{ csp: new CSP() }, "csp", /has no directives/, "CELLO_INVALID_VALUE"],
  [{ cspReportOnly: false }, "cspReportOnly", /must be a CSP/, "CELLO_WRONG_TYPE"],
  [{ permissionsPolicy: "camera=()" }, "permissionsPolicy", /record of features/, "CELLO_WRONG_TYPE"],
  [{ permissionsPolicy: ["camera"] }, "permissionsPolicy", /record of features/, "CELLO_WRONG_TYPE"],
  [{ permissionsPolicy: { camera: "self" } }, "permissionsPolicy", /"camera" must have a list/, "CELLO_WRONG_TYPE"],
  [{ permissionsPolicy: { camera: [1] } }, "permissionsPolicy", /"camera" has 1/, "CELLO_WRONG_TYPE"],
  [{ permissionsPolicy: { camera: ["'self'"] } }, "permissionsPolicy", /write "self", without/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { camera: ["none"] } }, "permissionsPolicy", /write \[\] for nobody/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { camera: ["src"] } }, "permissionsPolicy", /allow attribute/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { camera: ["*", "self"] } }, "permissionsPolicy", /"\*" beside others/, "CELLO_CONFLICT"],
  [
    { permissionsPolicy: { camera: ["https://a.example/path"] } },
    "permissionsPolicy",
    /write "https:\/\/a\.example"$/,
    "CELLO_INVALID_VALUE",
  ],
  [{ permissionsPolicy: { camera: ["https://a:99999"] } }, "permissionsPolicy", /not an origin/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { camera: ['https://a.example"'] } }, "permissionsPolicy", /origin/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { pictureInPicture: [] } }, "permissionsPolicy", /"picture-in-picture"/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { "camera=(), usb": [] } }, "permissionsPolicy", /not a feature name/, "CELLO_INVALID_VALUE"],
  [{ permissionsPolicy: { "": [] } }, "permissionsPolicy", /"" is not a feature name/, "CELLO_INVALID_VALUE"],
  [{ crossOriginOpenerPolicy: "same-site" }, "crossOriginOpenerPolicy", /noopener-allow/, "CELLO_INVALID_VALUE"],
  [{ crossOriginOpenerPolicy: true }, "crossOriginOpenerPolicy", /not one of/, "CELLO_INVALID_VALUE"],
  [{ crossOriginEmbedderPolicy: "same-origin" }, "crossOriginEmbedderPolicy", /credentialless/, "CELLO_INVALID_VALUE"],
  [{ crossOriginResourcePolicy: "none" }, "crossOriginResourcePolicy", /same-site/, "CELLO_INVALID_VALUE"],
  [{ originAgentCluster: "?1" }, "originAgentCluster", /not one of/, "CELLO_INVALID_VALUE"],
  [{ dnsPrefetchControl: "off" }, "dnsPrefetchControl", /true, false, null/, "CELLO_INVALID_VALUE"],
  [{ downloadOptions: "noopen" }, "downloadOptions", /not one of/, "CELLO_INVALID_VALUE"],
  [
    { permittedCrossDomainPolicies: "by-ftp-filename" },
    "permittedCrossDomainPolicies",
    /by-content-type/,
    "CELLO_INVALID_VALUE",
  ],
  [{ reportingEndpoints: "https://r.example" }, "reportingEndpoints", /record of URLs/, "CELLO_WRONG_TYPE"],
  [{ reportingEndpoints: { csp: 1 } }, "reportingEndpoints", /"csp" is 1/, "CELLO_WRONG_TYPE"],
  [
    { reportingEndpoints: { CSP: "https://r.example" } },
    "reportingEndpoints",
    /"CSP" is not a name/,
    "CELLO_INVALID_VALUE",
  ],
  [{ reportingEndpoints: { csp: "http://r.example" } }, "reportingEndpoints", /"https:/, "CELLO_INVALID_VALUE"],
  [{ reportingEndpoints: { csp: "//r.example" } }, "reportingEndpoints", /not a URL/, "CELLO_INVALID_VALUE"],
  [{ reportingEndpoints: { csp: "https://u:p@r.example" } }, "reportingEndpoints", /not a URL/, "CELLO_INVALID_VALUE"],
  [{ reportingEndpoints: { csp: "https://r.example/é" } }, "reportingEndpoints", /ASCII/, "CELLO_INVALID_VALUE"],
  [{ reportingEndpoints: { csp: 'https://r.example/"' } }, "reportingEndpoints", /not a URL/, "CELLO_INVALID_VALUE"],
  [{ reportingEndpoints: { csp: "javascript:alert(1)" } }, "reportingEndpoints", /not a URL/, "CELLO_INVALID_VALUE"],
  [{ removeHeaders: "Server" }, "removeHeaders", /list of strings/, "CELLO_WRONG_TYPE"],
  [{ removeHeaders: ["X Powered By"] }, "removeHeaders", /not a header name/, "CELLO_INVALID_VALUE"],
  [{ removeHeaders: [""] }, "removeHeaders", /empty string/, "CELLO_INVALID_VALUE"],
  [{ removeHeaders: ["Content-Length"] }, "removeHeaders", /no response can be read/, "CELLO_INVALID_VALUE"],
  [{ removeHeaders: ["x-frame-options"] }, "removeHeaders", /switch xFrameOptions off/, "CELLO_CONFLICT"],
];

describe("a wrong value", () => {
  it.each(WRONG)("%o is refused with class, field, problem and mend", (options, field, problem, code) => {
    const error = refusal(() => Reflect.construct(SecurityHeadersConfig, [options]));
    expect(error).toMatchObject({ subject: "SecurityHeadersConfig", field, code });
    expect(error.message).toMatch(/^SecurityHeadersConfig\.[^:]+: .+; .+$/);
    expect(error.message).toMatch(problem);
    expect(error.message).not.toMatch(/[\r\n]/);
  });

  it.each(["DENY", 1, null, []])("%o instead of options is refused", (options) => {
    expect(refusal(() => Reflect.construct(SecurityHeadersConfig, [options])).message).toContain(
      "SecurityHeadersConfig: takes an options object",
    );
  });

  it("does not stop a header from being removed when it is not sent", () => {
    const config = new SecurityHeadersConfig({ xFrameOptions: null, removeHeaders: ["X-Frame-Options"] });
    expect(config.removeHeaders).toEqual(["X-Frame-Options"]);
  });
});

function refusal(action: () => unknown): ConfigError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
