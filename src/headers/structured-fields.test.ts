import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDictionary, Token } from "structured-headers";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { ConfigError } from "../core/errors.js";
import { compileSecurityHeaders } from "./compile.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "./config.js";

const vectors = process.env.CELLO_VECTORS;
if (vectors === undefined) console.info("structured field vectors: skipped, CELLO_VECTORS is not set");

const feature = fc.stringMatching(/^[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,5}){0,2}$/);
const origin = fc.stringMatching(/^https:\/\/(\*\.)?[a-z0-9]{1,8}\.example(:[1-9][0-9]{0,3})?$/);
const allowList = fc.oneof(fc.constant(["*"]), fc.array(fc.oneof(fc.constant("self"), origin), { maxLength: 4 }));
const endpointName = fc.stringMatching(/^[a-z*][a-z0-9_\-.*]{0,10}$/);
const endpointUrl = fc.stringMatching(/^https:\/\/[a-z0-9]{1,8}\.example\/[!#-[\]-~]{0,12}$/);

const anyText = fc.string({ unit: "binary" });
const anyName = fc.oneof(endpointName, feature, anyText);
const anyUrl = fc.oneof(
  endpointUrl,
  origin,
  anyText,
  fc.tuple(endpointUrl, anyText).map((parts) => parts.join("")),
);

describe("structured fields", () => {
  it("of Permissions-Policy parse back to what was configured", () => {
    fc.assert(
      fc.property(fc.dictionary(feature, allowList, { minKeys: 1, maxKeys: 5 }), (permissionsPolicy) => {
        const parsed = [...parseDictionary(fieldValue("Permissions-Policy", { permissionsPolicy }))];
        const restored = parsed.map(([name, [member, parameters]]) => {
          expect(parameters.size).toBe(0);
          return [name, Array.isArray(member) ? member.map(([item]) => text(item)) : [text(member)]];
        });
        expect(Object.fromEntries(restored)).toEqual({ ...permissionsPolicy });
      }),
      runs(300),
    );
  });

  it("of Reporting-Endpoints parse back to what was configured", () => {
    fc.assert(
      fc.property(fc.dictionary(endpointName, endpointUrl, { minKeys: 1, maxKeys: 5 }), (reportingEndpoints) => {
        const parsed = [...parseDictionary(fieldValue("Reporting-Endpoints", { reportingEndpoints }))];
        expect(Object.fromEntries(parsed.map(([name, [url]]) => [name, url]))).toEqual({ ...reportingEndpoints });
      }),
      runs(300),
    );
  });

  it("never hold what was not configured, whatever text comes in", () => {
    fc.assert(
      fc.property(anyName, anyUrl, (name, url) => {
        for (const options of [{ reportingEndpoints: { [name]: url } }, { permissionsPolicy: { [name]: [url] } }]) {
          const lines = accepted(options);
          if (lines === undefined) continue;
          const parsed = parseDictionary(lines[1] ?? "");
          expect([...parsed.keys()]).toEqual([name]);
        }
      }),
      runs(500),
    );
  });
});

describe.skipIf(vectors === undefined)("the structured field tests of the HTTP working group", () => {
  const load = (file: string): readonly unknown[] =>
    vectors === undefined ? [] : JSON.parse(readFileSync(join(vectors, "structured-field-tests", file), "utf8"));

  const keys = [...load("key-generated.json"), ...load("serialisation-tests/key-generated.json")].flatMap(keyOf);

  it("agree on which names of endpoints are keys", () => {
    expect(keys.filter(({ isKey }) => isKey).length).toBeGreaterThan(50);
    expect(keys.filter(({ isKey }) => !isKey).length).toBeGreaterThan(100);
    for (const { key, isKey } of keys) {
      const lines = accepted({ reportingEndpoints: { [key]: "https://r.example/" } });
      expect([key, lines !== undefined]).toEqual([key, isKey]);
      if (isKey) expect(lines).toEqual(["Reporting-Endpoints", `${key}="https://r.example/"`]);
    }
  });

  it("agree that no feature name is accepted that is not a key", () => {
    for (const { key, isKey } of keys) {
      if (accepted({ permissionsPolicy: { [key]: [] } }) !== undefined) expect([key, isKey]).toEqual([key, true]);
    }
  });

  it("agree on how the strings are written that can stand in a URL", () => {
    const strings = [...load("string.json"), ...load("string-generated.json")].flatMap(stringOf);
    expect(strings.length).toBeGreaterThan(50);
    let written = 0;
    for (const { value, canonical } of strings) {
      const lines = accepted({ reportingEndpoints: { a: `/${value}` } });
      if (lines === undefined) continue;
      written++;
      expect(lines[1]).toBe(`a="/${canonical.slice(1)}`);
    }
    expect(written).toBeGreaterThan(50);
  });
});

/** The key of a record, in a dictionary with one member. */
function keyOf(record: unknown): { key: string; isKey: boolean }[] {
  if (!isRecord(record) || record.header_type !== "dictionary") return [];
  const isKey = record.must_fail !== true;
  const expected: unknown = record.expected;
  if (Array.isArray(expected)) {
    const key: unknown = Array.isArray(expected[0]) ? expected[0][0] : undefined;
    return typeof key === "string" && expected.length === 1 ? [{ key, isKey }] : [];
  }
  return [];
}

function stringOf(record: unknown): { value: string; canonical: string }[] {
  if (!isRecord(record) || record.must_fail === true || record.header_type !== "item") return [];
  const value: unknown = Array.isArray(record.expected) ? record.expected[0] : undefined;
  const written: unknown = record.canonical ?? record.raw;
  const canonical: unknown = Array.isArray(written) ? written[0] : undefined;
  return typeof value === "string" && typeof canonical === "string"
    ? [{ value: withoutSpaces(value), canonical: withoutSpaces(canonical) }]
    : [];
}

/** The generated strings stand between spaces, which no URL has. */
function withoutSpaces(value: string): string {
  return value.replaceAll(" ", "");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The one line of a configuration, or `undefined` when it is refused. */
function accepted(options: SecurityHeadersOptions): readonly string[] | undefined {
  const off = {
    hsts: false,
    xFrameOptions: null,
    xContentTypeOptions: false,
    xXssProtection: false,
    referrerPolicy: null,
  };
  try {
    return compileSecurityHeaders(new SecurityHeadersConfig({ ...off, ...options })).lines;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

function fieldValue(name: string, options: SecurityHeadersOptions): string {
  const { lines } = compileSecurityHeaders(new SecurityHeadersConfig(options));
  return lines[lines.indexOf(name) + 1] ?? "";
}

function text(item: unknown): string {
  return item instanceof Token ? item.toString() : String(item);
}
