import type { SessionConfig } from "./config.js";

/**
 * What a browser surely keeps of one cookie, in bytes (RFC 6265 section 6.1). Attributes are counted
 * too: there are browsers and proxies that do.
 */
export const MAX_COOKIE_BYTES = 4096;

const SEMICOLON = 0x3b;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * The values of one cookie in a `Cookie` header, in the order in which they stand there.
 *
 * The header is searched for the name and never parsed as a whole: fifty foreign cookies cost nothing.
 * A name can come several times (other paths, other domains, or an attacker on a subdomain), so all
 * are candidates, up to a limit that bounds the work.
 *
 * @param header the `Cookie` header
 * @param name the cookie's name, case-sensitive
 * @param limit how many values are looked at
 */
export function findCookieValues(header: string, name: string, limit: number): string[] {
  const values: string[] = [];
  const needle = `${name}=`;
  for (let at = header.indexOf(needle); at !== -1; at = header.indexOf(needle, at + 1)) {
    if (!beginsPair(header, at)) continue;
    const start = at + needle.length;
    const semicolon = header.indexOf(";", start);
    const end = semicolon === -1 ? header.length : semicolon;
    values.push(unquoted(header.slice(start, end).trim()));
    if (values.length >= limit) break;
    // The rest of this pair is its value: nothing in it can begin another pair.
    at = end - 1;
  }
  return values;
}

/** A value may stand in quotes, which are no part of what was set (RFC 6265 section 4.1.1): some clients add them. */
function unquoted(value: string): string {
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return isQuoted ? value.slice(1, -1) : value;
}

/** Whether a `Cookie` header has a cookie of this name. */
export function hasCookie(header: string, name: string): boolean {
  const needle = `${name}=`;
  for (let at = header.indexOf(needle); at !== -1; at = header.indexOf(needle, at + 1)) {
    if (beginsPair(header, at)) return true;
  }
  return false;
}

/** Whether nothing but white space stands between this place and the last ";" or the beginning. */
function beginsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0) {
    const code = header.charCodeAt(before);
    if (code === SEMICOLON) return true;
    if (code !== SPACE && code !== TAB) return false;
    before--;
  }
  return true;
}

/** What is asked of a request to which a cookie is set. */
interface SecureOrNot {
  /** Whether the client speaks TLS to us, or to a proxy that may speak for it. */
  readonly isSecure: boolean;
}

function attributesOf(config: SessionConfig, isSecure: boolean): string {
  const attributes = [`; Path=${config.path}`];
  if (config.domain !== undefined) attributes.push(`; Domain=${config.domain}`);
  if (isSecure) attributes.push("; Secure");
  if (config.httponly) attributes.push("; HttpOnly");
  attributes.push(`; SameSite=${config.sameSite}`);
  if (config.partitioned) attributes.push("; Partitioned");
  return attributes.join("");
}

/** Writes `Set-Cookie` values; everything but value and lifetime is prepared once. */
export class CookieWriter {
  readonly #prefix: string;
  /** Follows the request that is answered. */
  readonly #isAuto: boolean;
  readonly #attributes: string;
  readonly #secureAttributes: string;
  readonly #overheadBytes: number;

  constructor(config: SessionConfig) {
    this.#prefix = `${config.cookieName}=`;
    this.#isAuto = config.secure === "auto";
    this.#secureAttributes = attributesOf(config, true);
    this.#attributes = config.secure === true ? this.#secureAttributes : attributesOf(config, false);
    const longest = config.secure === false ? this.#attributes : this.#secureAttributes;
    this.#overheadBytes = `${this.#prefix}; Max-Age=${config.maxAge}${longest}`.length;
  }

  /**
   * The `Set-Cookie` value.
   *
   * @param value text that needs no encoding in a cookie
   * @param maxAge seconds that the browser keeps it
   * @param request the request that it answers
   */
  write(value: string, maxAge: number, request: SecureOrNot): string {
    return `${this.#prefix}${value}; Max-Age=${maxAge}${this.#attributesFor(request)}`;
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  expire(request: SecureOrNot): string {
    return `${this.#prefix}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT${this.#attributesFor(request)}`;
  }

  #attributesFor(request: SecureOrNot): string {
    return this.#isAuto && request.isSecure ? this.#secureAttributes : this.#attributes;
  }

  /** How long a `Set-Cookie` value will be at most, in bytes, for a cookie value of so many characters. */
  sizeFor(valueLength: number): number {
    return this.#overheadBytes + valueLength;
  }
}
