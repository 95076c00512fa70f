import type { SessionConfig } from "./config.js";

/**
 * What a browser surely keeps of one cookie, in bytes (RFC 6265 section 6.1). Attributes are counted
 * too: there are browsers and proxies that do.
 */
export const MAX_COOKIE_BYTES = 4096;

/** Bound on the length of all cookie values together of which is remembered what they hold. */
export const REMEMBERED_CHARACTERS = 4_000_000;

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
