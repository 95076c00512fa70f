import { findCookieValues } from "../core/cookies.js";
import type { TokenRejection } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import type { JwtConfig } from "./config.js";

/** A request that carries a token in a way that is refused before the token is looked at. */
export interface RefusedCredentials {
  readonly rejection: TokenRejection;
}

const DUPLICATE: RefusedCredentials = Object.freeze({ rejection: "duplicate_header" });
const MALFORMED: RefusedCredentials = Object.freeze({ rejection: "malformed" });
const TOO_LONG: RefusedCredentials = Object.freeze({ rejection: "too_long" });

/**
 * Finds the token of a request (RFC 6750 section 2.1): in the header after its scheme, else in the
 * cookie when one is configured.
 *
 * A header with another scheme (`Basic`) holds no token: it is somebody else's to read. A header
 * with the scheme and nothing usable after it is a bad token.
 */
export class BearerSource {
  readonly #headerName: string;
  readonly #scheme: string;
  readonly #cookieName: string | undefined;
  readonly #maxTokenLength: number;

  constructor(config: JwtConfig) {
    this.#headerName = config.headerName.toLowerCase();
    this.#scheme = config.headerPrefix.toLowerCase();
    this.#cookieName = config.cookieName;
    this.#maxTokenLength = config.maxTokenLength;
  }

  /** The token; why the request is refused; or `undefined` when it has none. */
  read(view: RequestView): string | RefusedCredentials | undefined {
    const header = view.header(this.#headerName);
    if (header !== undefined) {
      // Two parties that each read another one of two tokens see two different users.
      if (view.headerCount(this.#headerName) > 1) return DUPLICATE;
      const token = this.#afterScheme(header);
      if (token !== undefined) return token;
    }
    if (this.#cookieName === undefined) return undefined;
    return this.#fromCookies(view.header("cookie"), this.#cookieName);
  }

  /** Whether the request carries the token's cookie, which browsers send with requests of other sites too. */
  carriesCookie(view: RequestView): boolean {
    return this.#cookieName !== undefined && this.#fromCookies(view.header("cookie"), this.#cookieName) !== undefined;
  }

  #afterScheme(header: string): string | RefusedCredentials | undefined {
    const length = this.#scheme.length;
    let start = 0;
    if (length === 0) {
      if (header === "") return undefined;
    } else {
      if (header.length < length || header.slice(0, length).toLowerCase() !== this.#scheme) return undefined;
      // "Bearerx" is another scheme.
      if (header.length > length && header.charCodeAt(length) !== 0x20) return undefined;
      start = length;
      while (header.charCodeAt(start) === 0x20) start++;
    }
    if (header.length === start) return MALFORMED;
    // What is no token68 (a space, a comma, a second credential) is no base64url either and fails there.
    return header.length - start > this.#maxTokenLength ? TOO_LONG : header.slice(start);
  }

  /** One token, however often it stands there; an empty cookie holds none. */
  #fromCookies(cookies: string | undefined, name: string): string | RefusedCredentials | undefined {
    const values = findCookieValues(cookies, name, Number.POSITIVE_INFINITY).filter((value) => value !== "");
    const [token] = values;
    if (token === undefined) return undefined;
    if (values.some((value) => value !== token)) return DUPLICATE;
    return token.length > this.#maxTokenLength ? TOO_LONG : token;
  }
}
