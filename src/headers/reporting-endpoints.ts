import { serializeDictionary } from "structured-headers";
import { describe, type Fields, isBag } from "../core/options.js";

/** Names of endpoints, which `reportTo` of a CSP uses, and their URLs. */
export type ReportingEndpoints = Readonly<Record<string, string>>;

/** A key of structured fields: RFC 9651 section 3.1.2. */
const KEY = /^[a-z*][a-z0-9_\-.*]*$/;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * A dictionary of strings (RFC 9651), for example `csp="https://r.example/csp"`; section 3.2: one without
 * members is not sent.
 */
export function writeReportingEndpoints(endpoints: ReportingEndpoints = {}): string | undefined {
  const members = Object.entries(endpoints).map(([name, url]) => [name, [url, new Map()]] as const);
  return members.length === 0 ? undefined : serializeDictionary(new Map(members));
}

export function readReportingEndpoints(fields: Fields, name: string): ReportingEndpoints | undefined {
  const given = fields.given(name) ?? undefined;
  if (given === undefined) return undefined;
  if (!isBag(given)) {
    fields.wrongType(name, `must be a record of URLs, got ${describe(given)}`, 'write { csp: "https://..." }');
  }
  const endpoints: Record<string, string> = {};
  for (const [key, url] of Object.entries(given)) {
    if (!KEY.test(key)) {
      const mend = "use lower-case letters, digits and _ - . *, a letter first";
      fields.invalid(name, `${JSON.stringify(key)} is not a name`, mend);
    }
    if (typeof url !== "string") fields.wrongType(name, `"${key}" is ${describe(url)}`, "give a URL as a string");
    if (!isEndpoint(url)) {
      const mend =
        'give "https://..." in ASCII, or a path of this origin such as "/reports"; http is for localhost only';
      fields.invalid(name, `"${key}" is not a URL that browsers report to`, mend);
    }
    endpoints[key] = url;
  }
  return Object.freeze(endpoints);
}

/** Browsers report to trustworthy URLs only: https, loopback, or this origin by a path (section 3.3). */
function isEndpoint(url: string): boolean {
  // What a string of structured fields cannot hold as it is.
  if (/[^\u0021-\u007e]|["\\]/.test(url)) return false;
  if (url.startsWith("/")) return !url.startsWith("//");
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || LOOPBACK.test(hostname);
}
