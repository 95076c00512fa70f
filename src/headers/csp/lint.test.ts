import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../../test/fast-check.js";
import { ConfigError } from "../../core/errors.js";
import { CSP } from "./builder.js";
import type { CspFinding } from "./findings.js";

const vectors = process.env.CELLO_VECTORS;
if (vectors === undefined) console.info("CSP lint vectors: skipped, CELLO_VECTORS is not set");

const strict = () =>
  new CSP()
    .scriptSrc(CSP.NONCE, "'strict-dynamic'")
    .objectSrc("'none'")
    .baseUri("'none'")
    .frameAncestors("'none'")
    .formAction("'self'");
const text = (more: string) => `${strict()}; ${more}`;

describe("csp.lint", () => {
  it("finds nothing but advice in a strict policy", () => {
    expect(strict().requireTrustedTypesFor("'script'").lint()).toEqual([]);
    expect(strict().lint()).toMatchObject([{ severity: "info", directive: "require-trusted-types-for" }]);
  });

  it("names the directive and the source of a weakness", () => {
    expect(new CSP().defaultSrc("'none'").scriptSrc("'unsafe-inline'").lint()).toContainEqual({
      severity: "high",
      directive: "script-src",
      value: "'unsafe-inline'",
      description: expect.stringContaining("unsafe in-page scripts"),
    });
  });

  it.each<[csp: CSP, severity: string, directive: string, value: string | undefined]>([
    [new CSP().defaultSrc("*"), "high", "default-src", "*"],
    [new CSP().scriptSrc("https:").objectSrc("'none'"), "high", "script-src", "https:"],
    [new CSP().scriptSrc("data:").objectSrc("'none'"), "high", "script-src", "data:"],
    [new CSP().scriptSrc("'self'"), "high", "object-src", undefined],
    [new CSP().objectSrc("'none'"), "high", "script-src", undefined],
    [new CSP().scriptSrc(CSP.NONCE).objectSrc("'none'"), "high", "base-uri", undefined],
    [new CSP().defaultSrc("'self'", "'unsafe-eval'"), "low", "default-src", "'unsafe-eval'"],
    [new CSP().defaultSrc("http://a.example"), "medium", "default-src", "http://a.example"],
    [new CSP().defaultSrc("'none'").styleSrc("'unsafe-inline'"), "low", "style-src", "'unsafe-inline'"],
    [new CSP().defaultSrc("'none'").imgSrc("'unsafe-inline'"), "info", "img-src", "'unsafe-inline'"],
    [strict().scriptSrc("'nonce-abc'"), "medium", "script-src", "'nonce-abc'"],
    [strict().scriptSrc("'nonce-c3RhdGljIG5vbmNl'"), "high", "script-src", "'nonce-c3RhdGljIG5vbmNl'"],
    [new CSP().defaultSrc("'self'").reportUri("http://r.example/"), "medium", "report-uri", "http://r.example/"],
  ])("calls %o %s for %s %s", (csp, severity, directive, value) => {
    const found = csp.lint().map((finding) => [finding.severity, finding.directive, finding.value]);
    expect(found).toContainEqual([severity, directive, value]);
  });

  it.each<[policy: string, severity: string, directive: string, value: string | undefined]>([
    [text("style-src *"), "medium", "style-src", "*"],
    [text("style-src https:"), "medium", "style-src", "https:"],
    [text("style-src-elem http://*"), "medium", "style-src-elem", "http://*"],
    [text("default-src *"), "medium", "default-src", "*"],
    [text("img-src *"), "low", "img-src", "*"],
    [text("connect-src wss:"), "low", "connect-src", "wss:"],
    [text("img-src data:"), "info", "img-src", "data:"],
    [text("frame-src data:"), "medium", "frame-src", "data:"],
    [text("worker-src blob:"), "medium", "worker-src", "blob:"],
    [text("font-src HTTPS:"), "low", "font-src", "https:"],
    ["default-src 'self'", "medium", "frame-ancestors", undefined],
    ["default-src 'self'", "medium", "form-action", undefined],
    ["default-src 'self'", "medium", "base-uri", undefined],
    ["default-src 'none'; frame-ancestors *", "medium", "frame-ancestors", "*"],
    ["default-src 'none'; frame-ancestors https:", "medium", "frame-ancestors", "https:"],
    ["default-src 'none'; form-action *", "medium", "form-action", "*"],
    ["default-src 'none'; base-uri *", "high", "base-uri", "*"],
    [text("img-src 'self'; img-src *"), "syntax", "img-src", undefined],
    [text("IMG-SRC 'self';img-src"), "syntax", "img-src", undefined],
    ["default-src 'none', script-src *", "syntax", "", undefined],
    [text("img-src 'none' https://a.example"), "syntax", "img-src", "'none'"],
    [text("connect-src * 'self'"), "info", "connect-src", "'self'"],
    [text("style-src 'unsafe-hashes' 'self'"), "low", "style-src", "'unsafe-hashes'"],
    [text("sandbox allow-scripts allow-same-origin"), "medium", "sandbox", "allow-same-origin"],
    ["script-src 'strict-dynamic'; object-src 'none'", "info", "script-src", undefined],
    ["script-src 'unsafe-hashes' 'self'; object-src 'none'", "low", "script-src", "'unsafe-hashes'"],
  ])("calls %s %s for %s %s", (policy, severity, directive, value) => {
    const found = CSP.lint(policy).map((finding) => [finding.severity, finding.directive, finding.value]);
    expect(found).toContainEqual([severity, directive, value]);
  });

  it("tells each weakness once", () => {
    for (const policy of ["default-src *", "script-src *; object-src data:", "script-src 'nonce-abc'", ""]) {
      const found = CSP.lint(policy).map(({ directive, value, severity }) => `${directive} ${value} ${severity}`);
      expect(found).toEqual([...new Set(found)]);
    }
  });

  it("puts the worst first", () => {
    const order = ["high", "syntax", "medium", "low", "info"];
    const policy = "script-src 'unsafe-inline' 'slef' http://a.example 127.0.0.1 'unsafe-eval'; unknown-src";
    const severities = CSP.lint(policy).map((finding) => order.indexOf(finding.severity));
    expect(new Set(severities).size).toBe(5);
    expect(severities).toEqual([...severities].sort());
  });

  it("does not take the place of the nonce for a nonce", () => {
    expect(strict().styleSrc(CSP.NONCE).lint()).toEqual(strict().lint());
    expect(
      new CSP()
        .imgSrc("'self'")
        .lint()
        .some((finding) => finding.description.includes("CELLO")),
    ).toBe(false);
  });

  it("knows the keywords of newer drafts", () => {
    const keywords = new CSP().defaultSrc("'none'").scriptSrc("'trusted-types-eval'", "'report-sha256'");
    expect(keywords.lint().filter((finding) => finding.severity === "syntax")).toEqual([]);
  });

  it("reads policies that are given as text, with all their mistakes", () => {
    expect(CSP.lint("script-src self")).toContainEqual(expect.objectContaining({ severity: "syntax", value: "self" }));
    expect(CSP.lint("img-src ////; report-uri /; trusted-types # %zz")).toContainEqual(
      expect.objectContaining({ severity: "syntax", directive: "img-src", value: "////" }),
    );
    expect(CSP.lint("")).not.toEqual([]);
    expect(() => Reflect.apply(CSP.lint, CSP, [1])).toThrow(ConfigError);
  });

  it("throws for no text", () => {
    const words = fc.constantFrom(
      "script-src",
      "default-src",
      "'self'",
      "*",
      ";",
      "/",
      "http://",
      "[",
      "__proto__",
      "%",
      "#",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string({ maxLength: 6 })), { maxLength: 12 }), (parts) => {
        expect(Array.isArray(CSP.lint(parts.join(" ")))).toBe(true);
      }),
      runs(500),
    );
  });
});

describe.skipIf(vectors === undefined)("the bypasses that csp_evaluator lists", () => {
  const load = (file: string): unknown => JSON.parse(readFileSync(join(vectors ?? "", "csp-evaluator", file), "utf8"));

  it.each(["angular.json", "jsonp.json"])("of %s: a host that is allowed is a high finding", (file) => {
    const hosts = urlsOf(load(file)).map((url) => new URL(`https:${url}`).hostname);
    expect(hosts.length).toBeGreaterThan(20);
    for (const host of hosts) {
      const csp = new CSP().defaultSrc("'none'").scriptSrc(`https://${host}`, "'unsafe-eval'");
      expect(bypasses(csp.lint(), "script-src")).toEqual([`https://${host}`]);
    }
  });

  it("of flash.json: a host that is allowed for objects is a high finding", () => {
    for (const url of urlsOf(load("flash.json"))) {
      const source = `https://${new URL(`https:${url}`).hostname}`;
      expect(bypasses(new CSP().scriptSrc("'none'").objectSrc(source).lint(), "object-src")).toEqual([source]);
    }
  });

  it("of jsonp.json: hosts whose answers need eval are high findings only with 'unsafe-eval'", () => {
    const angular = urlsOf(load("angular.json")).map((url) => new URL(`https:${url}`).hostname);
    const hosts = strings(load("jsonp.json"), "needsEval").filter((host) => !angular.includes(host));
    expect(hosts.length).toBeGreaterThan(3);
    for (const host of hosts) {
      const csp = new CSP().defaultSrc("'none'").scriptSrc(host);
      expect(bypasses(csp.lint(), "script-src")).toEqual([]);
      expect(csp.lint()).toContainEqual(expect.objectContaining({ severity: "low", value: host }));
    }
  });

  it("do not make a finding of another host", () => {
    const csp = new CSP().defaultSrc("'none'").scriptSrc("https://static.example.com");
    expect(bypasses(csp.lint(), "script-src")).toEqual([]);
  });
});

describe.skipIf(vectors === undefined)("the policies that the MDN observatory judges", () => {
  const load = (): unknown =>
    JSON.parse(readFileSync(join(vectors ?? "", "mdn-observatory", "csp-expectations.json"), "utf8"));
  const cases = vectors === undefined ? [] : judged(load());

  it("include every kind of judgement", () => {
    expect(new Set(cases.map(({ result }) => result)).size).toBe(7);
  });

  it("have a high finding where scripts run unsafely", () => {
    const unsafe = cases.filter(({ result }) => result === "csp-implemented-with-unsafe-inline");
    expect(unsafe.length).toBeGreaterThan(25);
    const missed = unsafe.filter(({ policy }) => !CSP.lint(policy).some((finding) => finding.severity === "high"));
    expect(missed).toEqual([]);
  });

  it("have a finding for 'unsafe-eval' wherever it stands", () => {
    for (const { policy } of cases.filter(({ policy }) => policy.includes("'unsafe-eval'"))) {
      expect(CSP.lint(policy)).toContainEqual(expect.objectContaining({ value: "'unsafe-eval'" }));
    }
  });

  it("have a finding where scripts come by plain http", () => {
    const insecure = cases.filter(
      ({ policy, result }) => result === "csp-implemented-with-insecure-scheme" && policy.includes("http:"),
    );
    expect(insecure.length).toBeGreaterThan(1);
    for (const { policy } of insecure) {
      expect(CSP.lint(policy).some(({ severity, value }) => severity === "medium" && value?.startsWith("http:"))).toBe(
        true,
      );
    }
  });

  it("have a finding where styles are inline", () => {
    const inline = cases.filter(
      ({ policy, result }) => result.endsWith("unsafe-inline-in-style-src-only") && policy.includes("'unsafe-inline'"),
    );
    expect(inline.length).toBeGreaterThan(3);
    for (const { policy } of inline) {
      expect(CSP.lint(policy)).toContainEqual(expect.objectContaining({ value: "'unsafe-inline'" }));
    }
  });

  it("have no high finding but a missing base-uri where the observatory finds nothing unsafe", () => {
    const safe = cases.filter(({ result }) => result === "csp-implemented-with-no-unsafe-default-src-none");
    const high = safe.flatMap(({ policy }) =>
      policy === "default-src" ? [] : CSP.lint(policy).filter((finding) => finding.severity === "high"),
    );
    expect(high.filter((finding) => finding.directive !== "base-uri")).toEqual([]);
  });
});

function bypasses(findings: readonly CspFinding[], directive: string): readonly (string | undefined)[] {
  return findings
    .filter((finding) => finding.severity === "high" && finding.directive === directive)
    .map((finding) => finding.value);
}

function urlsOf(file: unknown): readonly string[] {
  return strings(file, "urls");
}

function strings(file: unknown, member: string): readonly string[] {
  const list: unknown = isRecord(file) ? file[member] : undefined;
  return Array.isArray(list) ? list.filter((entry): entry is string => typeof entry === "string") : [];
}

function judged(file: unknown): readonly { policy: string; result: string }[] {
  if (!Array.isArray(file)) return [];
  return file.flatMap((entry: unknown) =>
    isRecord(entry) && typeof entry.policy === "string" && typeof entry.result === "string"
      ? [{ policy: entry.policy, result: entry.result }]
      : [],
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
