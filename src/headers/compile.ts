import { ConfigError } from "../core/errors.js";
import type { SecurityHeadersConfig } from "./config.js";
import { NONCE_SLOT } from "./csp/sources.js";
import type { SecurityHeader } from "./security-header.js";
import { SECURITY_HEADERS } from "./security-headers.js";

/** A header whose value holds the nonce of the response. */
export interface NonceLine {
  /** In canonical case. */
  readonly name: string;
  /** The value, split where the nonce goes: one part more than there are places. */
  readonly parts: readonly string[];
  /** The value with a nonce. The nonce is base64 and is not checked again. */
  value(nonce: string): string;
}

/**
 * A configuration turned into what a response needs: fixed values are ready, and only a policy with
 * a nonce is put together per response.
 *
 * The names are those of a `SecurityHeadersConfig`: a header that the handler set itself wins, and
 * the host leaves the like-named line out.
 */
export interface CompiledSecurityHeaders {
  /** Flat list of fixed names and values, names in canonical case: `["X-Frame-Options", "DENY", ...]`. */
  readonly lines: readonly string[];
  readonly nonceLines: readonly NonceLine[];
  /** Lower-case name to canonical name, of every header in `lines` and `nonceLines`. */
  readonly names: ReadonlyMap<string, string>;
  /** Lower-case names of the headers that are taken from every response. */
  readonly removed: readonly string[];
  /** Whether a nonce is needed: `nonceLines` is not empty. */
  readonly usesNonce: boolean;
}

/** The headers whose value may hold a nonce. In the others its slot would be plain text. */
const NONCE_HEADERS: readonly string[] = ["Content-Security-Policy", "Content-Security-Policy-Report-Only"];

/** field-value of RFC 9110 section 5.5, without the obsolete characters. */
const FIELD_VALUE = /^[\u0021-\u007e](?:[\t\u0020-\u007e]*[\u0021-\u007e])?$/;

/**
 * Compiles a configuration, once, when the application starts.
 *
 * @throws ConfigError for a value that cannot stand in a header; the configuration refuses such
 *   values already, so this holds even where it forgot one
 */
export function compileSecurityHeaders(config: SecurityHeadersConfig): CompiledSecurityHeaders {
  const lines: string[] = [];
  const nonceLines: NonceLine[] = [];
  const names = new Map<string, string>();
  for (const header of SECURITY_HEADERS) {
    const value = header.value(config);
    if (value === undefined) continue;
    checkValue(header, value);
    names.set(header.name.toLowerCase(), header.name);
    if (NONCE_HEADERS.includes(header.name) && value.includes(NONCE_SLOT)) {
      nonceLines.push(new SplitLine(header.name, value));
    } else {
      lines.push(header.name, value);
    }
  }
  return Object.freeze({
    lines: Object.freeze(lines),
    nonceLines: Object.freeze(nonceLines),
    names,
    removed: Object.freeze([...new Set(config.removeHeaders.map((name) => name.toLowerCase()))]),
    usesNonce: nonceLines.length > 0,
  });
}

function checkValue(header: SecurityHeader<SecurityHeadersConfig>, value: string): void {
  if (FIELD_VALUE.test(value)) return;
  throw new ConfigError({
    code: "CELLO_INVALID_VALUE",
    subject: "SecurityHeadersConfig",
    field: header.field,
    problem: `its value cannot stand in the header ${header.name}`,
    mend: "use visible ASCII characters and spaces",
  });
}

class SplitLine implements NonceLine {
  readonly parts: readonly string[];
  readonly #first: string;
  readonly #rest: readonly string[];

  constructor(
    readonly name: string,
    value: string,
  ) {
    const [first = "", ...rest] = value.split(NONCE_SLOT);
    this.parts = Object.freeze([first, ...rest]);
    this.#first = first;
    this.#rest = rest;
    Object.freeze(this);
  }

  value(nonce: string): string {
    let value = this.#first;
    for (const part of this.#rest) value += nonce + part;
    return value;
  }
}
