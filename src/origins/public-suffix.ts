import type { getDomain } from "tldts";
import { loadPackage } from "../core/load-package.js";

let find: typeof getDomain | undefined;

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
  find ??= loadPackage<typeof import("tldts")>(
    "tldts",
    "a pattern of origins needs its list of public suffixes",
    "install it, or write the origins one by one",
  ).getDomain;
  // With the suffixes of those who hand out names below their own, such as github.io.
  return find(host, { allowPrivateDomains: true, extractHostname: false });
}
