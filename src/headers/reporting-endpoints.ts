import { serializeDictionary } from "structured-headers";
import { type ConfigFields, describe, hasControlCharacter, isBag } from "../core/options.js";
import type { SecurityHeader } from "./security-header.js";

/** Names of endpoints, which `reportTo` of a CSP uses, and their URLs. */
export type ReportingEndpoints = Readonly<Record<string, string>>;

/** A key of structured fields: RFC 9651 section 3.1.2. */
const KEY = /^[a-z*][a-z0-9_\-.*]*$/;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * `Reporting-Endpoints` (W3C Reporting API section 3.2): where the browser sends reports about
 * violated policies. A dictionary of strings (RFC 9651), for example `csp="https://r.example/csp"`.
 */
export const reportingEndpoints: SecurityHeader<{ readonly reportingEndpoints: ReportingEndpoints | undefined }> = {
  name: "Reporting-Endpoints",
  field: "reportingEndpoints",
  value: (config) => {
    const endpoints = Object.entries(config.reportingEndpoints ?? {});
    // RFC 9651 section 3.2: a dictionary without members is a field that is not sent.
    if (endpoints.length === 0) return undefined;
    return serializeDictionary(new Map(endpoints.map(([name, url]) => [name, [url, new Map()]])));
  },
};

/** Reads the record; the answer is a frozen copy. */
export function readReportingEndpoints(fields: ConfigFields): ReportingEndpoints | undefined {
  const given = fields.raw("reportingEndpoints");
  if (given === undefined || given === null) return undefined;
  if (!isBag(given)) {
    fields.fail(
      "CELLO_WRONG_TYPE",
      "reportingEndpoints",
      `must be a record of URLs, got ${describe(given)}`,
      'write { csp: "https://..." }',
    );
  }
  const endpoints: Record<string, string> = {};
  for (const [name, url] of Object.entries(given)) {
    if (!KEY.test(name)) {
      fields.fail(
        "CELLO_INVALID_VALUE",
        "reportingEndpoints",
        `${JSON.stringify(name)} is not a name`,
        "use lower-case letters, digits and _ - . *, a letter first",
      );
    }
    endpoints[name] = readUrl(fields, name, url);
  }
  return Object.freeze(endpoints);
}

function readUrl(fields: ConfigFields, name: string, url: unknown): string {
  if (typeof url !== "string") {
    fields.fail("CELLO_WRONG_TYPE", "reportingEndpoints", `"${name}" is ${describe(url)}`, "give a URL as a string");
  }
  if (hasControlCharacter(url) || /[^\u0021-\u007e]|["\\]/.test(url) || !isEndpoint(url)) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "reportingEndpoints",
      `"${name}" is not a URL that browsers report to`,
      'give "https://..." in ASCII, or a path of this origin such as "/reports"; http is for localhost only',
    );
  }
  return url;
}

/** Browsers report to trustworthy URLs only: https, loopback, or this origin by a path (section 3.3). */
function isEndpoint(url: string): boolean {
  if (url.startsWith("/")) return !url.startsWith("//");
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || LOOPBACK.test(hostname);
}
