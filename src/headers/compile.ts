import { ConfigError } from "../core/errors.js";
import type { SecurityHeadersConfig } from "./config.js";
import { NONCE_SLOT } from "./csp/sources.js";
import { type SentHeader, sentHeaders } from "./header-table.js";

/** A header whose value holds the nonce of the response. */
export interface NonceLine {
  /** In canonical case. */
  readonly name: string;
  /** The value with a nonce. The nonce is base64 and is not checked again. */
  readonly value: (nonce: string) => string;
}

/**
 * A configuration turned into what a response needs: fixed values are ready, and only a policy with
 * a nonce is put together per response.
 *
 * A header that the handler set itself wins, and the host leaves the like-named line out.
 */
export interface CompiledSecurityHeaders {
  /** Flat list of fixed names and values, names in canonical case: `["X-Frame-Options", "DENY", ...]`. */
  readonly lines: readonly string[];
  /** Empty: the response needs no nonce. */
  readonly nonceLines: readonly NonceLine[];
  /** Lower-case names of every header in `lines` and `nonceLines`. */
  readonly names: readonly string[];
  /** Lower-case names of the headers that are taken from every response. */
  readonly removed: readonly string[];
}

/** field-value of RFC 9110 section 5.5, without the obsolete characters. */
const FIELD_VALUE = /^[\u0021-\u007e](?:[\t\u0020-\u007e]*[\u0021-\u007e])?$/;

/**
 * Compiles a configuration, once, when the application starts.
 *
 * @throws ConfigError for a value that cannot stand in a header; the configuration refuses such
 *   values already, so this holds even where it forgot one
 */
export function compileSecurityHeaders(config: SecurityHeadersConfig): CompiledSecurityHeaders {
  const sent = sentHeaders(config);
  for (const header of sent) checkValue(header);
  const fixed = sent.filter((header) => !hasNonce(header));
  return Object.freeze({
    lines: Object.freeze(fixed.flatMap(({ name, value }) => [name, value])),
    nonceLines: Object.freeze(sent.filter(hasNonce).map(nonceLine)),
    names: Object.freeze(sent.map(({ name }) => name.toLowerCase())),
    removed: Object.freeze([...new Set(config.removeHeaders.map((name) => name.toLowerCase()))]),
  });
}

function checkValue({ name, option, value }: SentHeader): void {
  if (FIELD_VALUE.test(value)) return;
  throw new ConfigError({
    code: "CELLO_INVALID_VALUE",
    subject: "SecurityHeadersConfig",
    field: option,
    problem: `its value cannot stand in the header ${name}`,
    mend: "use visible ASCII characters and spaces",
  });
}

/** In headers other than policies the slot of the nonce is plain text. */
function hasNonce({ option, value }: SentHeader): boolean {
  return (option === "csp" || option === "cspReportOnly") && value.includes(NONCE_SLOT);
}

/** Splits a value where the nonce goes, so that a response need not search for the places. */
function nonceLine({ name, value }: SentHeader): NonceLine {
  const [first = "", ...rest] = value.split(NONCE_SLOT);
  return Object.freeze({
    name,
    value: (nonce: string) => {
      let whole = first;
      for (const part of rest) whole += nonce + part;
      return whole;
    },
  });
}
