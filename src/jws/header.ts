import { deepFreeze } from "../core/json.js";
import { decodeBase64url } from "./base64url.js";
import type { JwsRejection } from "./errors.js";
import { parseJsonObject } from "./json.js";

/** The protected header of a JWS (RFC 7515 section 4.1). */
export interface JwsHeader {
  readonly alg: string;
  /** Key id. */
  readonly kid?: string | undefined;
  /** Media type of the whole, for example `JWT` or `at+jwt`. */
  readonly typ?: string | undefined;
  /** Media type of the payload. */
  readonly cty?: string | undefined;
  readonly [parameter: string]: unknown;
}

/** Parameters that carry a key or say where to fetch one; a forger would choose his own. */
const KEY_PARAMETERS = ["jwk", "jku", "x5u", "x5c"] as const;

/** Parameters that change how the rest is read; none is supported, so each is refused. */
const CRITICAL_PARAMETERS = ["crit", "b64"] as const;

const TEXT_PARAMETERS = ["kid", "typ", "cty"] as const;

/** Reads the first part of a compact JWS. The header is frozen, it may be shared between tokens. */
export function parseHeader(segment: string): JwsHeader | JwsRejection {
  const bytes = decodeBase64url(segment);
  const header = bytes === undefined ? undefined : parseJsonObject(bytes);
  if (header === undefined) return "malformed";
  // The last question of `headerProblem` is whether it is a header.
  return headerProblem(header) ?? deepFreeze(header as JwsHeader);
}

/** Why a header is refused, whoever signed it; `undefined` when nothing speaks against it. */
export function headerProblem(header: Readonly<Record<string, unknown>>): JwsRejection | undefined {
  if (CRITICAL_PARAMETERS.some((name) => Object.hasOwn(header, name))) return "critical_header";
  if (KEY_PARAMETERS.some((name) => Object.hasOwn(header, name))) return "embedded_key";
  if (typeof header.alg !== "string") return "malformed";
  const areTexts = TEXT_PARAMETERS.every((name) => header[name] === undefined || typeof header[name] === "string");
  return areTexts ? undefined : "malformed";
}
