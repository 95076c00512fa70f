import { createRequire } from "node:module";
import type { getDomain } from "tldts";
import { ConfigError } from "../core/errors.js";

type FindDomain = typeof getDomain;

let find: FindDomain | undefined;

/**
 * The part of a host name that somebody can register: the public suffix and one label more.
 *
 * @returns `null` for a public suffix itself, an address, and what is no name
 *
 * @example
 * ```ts
 * registrableDomain("a.example.co.uk"); // "example.co.uk"
 * registrableDomain("github.io"); // null
 * ```
 */
export function registrableDomain(host: string): string | null {
  find ??= load();
  // With the suffixes of those who hand out names below their own, such as github.io.
  return find(host, { allowPrivateDomains: true, extractHostname: false });
}

/** The list is read at start-up by those who give a pattern, and by nobody else. */
function load(): FindDomain {
  try {
    // Configurations are made synchronously, and `import()` is not.
    const library: unknown = createRequire(import.meta.url)("tldts");
    const found: unknown =
      typeof library === "object" && library !== null ? Reflect.get(library, "getDomain") : library;
    if (isFindDomain(found)) return found;
  } catch {
    // A bundle that left it out: the same as a package that is not there.
  }
  throw new ConfigError({
    code: "CELLO_MISSING",
    subject: "tldts",
    problem: "cannot be loaded, and a pattern of origins needs its list of public suffixes",
    mend: "install it, or write the origins one by one",
  });
}

function isFindDomain(value: unknown): value is FindDomain {
  return typeof value === "function";
}
