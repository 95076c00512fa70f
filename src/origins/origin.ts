import type { getDomain } from "tldts";
import { loadPackage } from "../core/load-package.js";

/** The longest origin that is looked at: a host name has 253 characters at most. */
const MOST_CHARACTERS = 300;

/** Scheme and authority, without path, query, user and percent-encoding. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\%]+$/i;

/**
 * An origin as a browser writes it in `Origin` (RFC 6454 section 6.2): scheme and host in lower case,
 * names outside ASCII in their ASCII form, the port only where it is not the scheme's own.
 *
 * @returns `undefined` for what is no origin; `null` is none
 *
 * @example
 * ```ts
 * canonicalOrigin("HTTPS://App.Example:443"); // "https://app.example"
 * canonicalOrigin("https://app.example/"); // undefined
 * ```
 */
export function canonicalOrigin(text: string): string | undefined {
  if (text.length > MOST_CHARACTERS || !ORIGIN.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, host } = new URL(text);
  return host === "" ? undefined : `${protocol}//${host}`;
}

/**
 * Whether an origin is the one that a client asks for with this host: same name, same port.
 *
 * A port that is the default of the origin's scheme may stand in either and be left out in the other.
 * The scheme itself is not compared: behind a proxy a server does not surely know its own. A trailing dot
 * makes another host, as it does for browsers.
 *
 * @param origin the value of `Origin`
 * @param host the authority that the client asked for, as `Host` has it
 */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  const schemeEnd = origin.indexOf("://");
  if (schemeEnd === -1 || host === undefined || host === "") return false;
  if (origin.length === schemeEnd + 3 + host.length && origin.endsWith(host)) return true;
  const asked = canonicalOrigin(origin.slice(0, schemeEnd + 3) + host);
  return asked !== undefined && asked === canonicalOrigin(origin);
}

let find: typeof getDomain | undefined;

/**
 * The part of a host name that can be registered: the public suffix and one label more.
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
