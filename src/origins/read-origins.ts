import type { Fields } from "../core/options.js";
import { nearMiss } from "../core/spelling.js";
import { canonicalOrigin, registrableDomain } from "./origin.js";

/** Schemes that no page has as its origin: its `Origin` is `null`, or a page is not loaded with them. */
const NO_ORIGINS = new Set(["about:", "blob:", "data:", "file:", "ftp:", "javascript:", "mailto:", "ws:", "wss:"]);

const MEND = 'write scheme, host and port alone, such as "https://accounts.example.com"';

/** What is wrong with an entry, and what to write instead. */
interface Problem {
  readonly problem: string;
  readonly mend: string;
}

const NO_PATTERN: Problem = {
  problem: "is not a pattern",
  mend: 'write one "*" in the place of the first labels, such as "https://*.example.com"',
};

/**
 * Reads a list of origins: the one way in which all configurations understand them.
 *
 * An entry is an origin (`https://app.example`, with a port where it is not the scheme's own), or a pattern
 * (`https://*.example.com`) for all names below a name. Letter case, a scheme's own port and names outside
 * ASCII are brought into the spelling of browsers. What could never match, or could match the pages of
 * strangers, is a `ConfigError`.
 *
 * @param texts the entries as given
 * @returns the entries in the spelling of browsers, `*` first
 */
export function readOrigins(fields: Fields, field: string, texts: readonly string[]): readonly string[] {
  const entries = texts
    .filter((text) => text !== "*")
    .map((text) => {
      const entry = text.includes("*") ? readPattern(text) : readOrigin(text);
      if (typeof entry === "string") return entry;
      return fields.invalid(field, `${JSON.stringify(text)} ${entry.problem}`, entry.mend);
    });
  return Object.freeze(texts.includes("*") ? ["*", ...entries] : entries);
}

function readOrigin(text: string): string | Problem {
  if (text === "null") {
    return {
      problem: "is the origin of every sandboxed frame and local file, whoever made it",
      mend: "serve the page from an origin of its own",
    };
  }
  const canonical = canonicalOrigin(text);
  if (canonical === undefined) return { problem: whyNone(text), mend: MEND };
  // Written with another asterisk, of which the canonical form makes ours: "＊".
  if (canonical.includes("*")) return NO_PATTERN;
  return schemeProblem(canonical) ?? canonical;
}

function whyNone(text: string): string {
  const { protocol, host } = URL.canParse(text) ? new URL(text) : { protocol: "", host: "" };
  return host === "" ? "is not an origin" : `is never sent by a browser, which would write "${protocol}//${host}"`;
}

function schemeProblem(origin: string): Problem | undefined {
  const scheme = origin.slice(0, origin.indexOf(":") + 1);
  if (NO_ORIGINS.has(scheme)) return { problem: `names a scheme (${scheme}) that no page's origin has`, mend: MEND };
  if (scheme === "http:" || scheme === "https:") return undefined;
  const meant = nearMiss(scheme, ["http", "https"]);
  if (meant === undefined) return undefined;
  return { problem: `has the scheme "${scheme}"`, mend: `write "${meant}://" if that is meant` };
}

function readPattern(text: string): string | Problem {
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9+.-]*:)\/\/\*\.([^*]+)$/i.exec(text) ?? [];
  const base = rest === "" ? undefined : canonicalOrigin(`${scheme}//${rest}`);
  if (base === undefined) return NO_PATTERN;
  const problem = schemeProblem(base);
  if (problem !== undefined) return problem;
  const { protocol, host, hostname } = new URL(base);
  if (!reachesStrangers(hostname)) return `${protocol}//*.${host}`;
  return {
    problem: "matches names that anybody can register",
    mend: "name the domain that is yours in front of the public suffix",
  };
}

/** Whether a host is a public suffix, or one below which every name is one; or no name at all. */
function reachesStrangers(host: string): boolean {
  // This machine's own names (RFC 6761 section 6.3).
  if (host === "localhost") return false;
  const domain = registrableDomain(host);
  return domain === null || host.endsWith(".") || registrableDomain(`x.${host}`) !== domain;
}
