import { isJsonObject } from "../core/json.js";
import { strictFunction } from "../core/strict-calls.js";
import { ALGORITHMS, isAlgorithmName } from "./algorithms.js";
import { encodeBase64url } from "./base64url.js";
import { JWS_REJECTION_MESSAGES, JwsError } from "./errors.js";
import { headerProblem, type JwsHeader } from "./header.js";
import { writeJsonObject } from "./json.js";
import type { KeyInput } from "./key-import.js";
import { prepareKey } from "./keys.js";

/**
 * Signs bytes as a JWS in compact form (RFC 7515 section 7.1).
 *
 * @param payload the bytes to sign
 * @param key an HMAC secret, or a private key as PEM, JWK or `KeyObject`
 * @param header the protected header; its `alg` chooses the algorithm
 * @throws JwsError when the key does not fit the algorithm (`unfit_key`), or the header cannot be
 *   used (`invalid_input`, `algorithm`, `critical_header`, `embedded_key`)
 *
 * @example
 * const token = signCompact(new TextEncoder().encode("hello"), secret, { alg: "HS256" });
 */
export const signCompact = strictFunction(
  "signCompact(payload, key, header)",
  function signCompact(payload: Uint8Array, key: KeyInput, header: JwsHeader): string {
    if (!(payload instanceof Uint8Array)) throw new JwsError("invalid_input", "the payload must be a Uint8Array");
    const headerSegment = encodeHeader(header);
    if (!isAlgorithmName(header.alg)) throw new JwsError("algorithm", 'the "alg" of the header is not supported');
    const { sign } = prepareKey(key, ALGORITHMS[header.alg]);
    if (sign === undefined) {
      throw new JwsError("unfit_key", "a key that only verifies cannot sign; give the private key");
    }
    const signingInput = `${headerSegment}.${encodeBase64url(payload)}`;
    return `${signingInput}.${sign(signingInput)}`;
  },
);

/**
 * The first part of a token. A header that a verifier would refuse is not made.
 *
 * @throws JwsError
 */
export function encodeHeader(header: JwsHeader): string {
  if (!isJsonObject(header)) throw new JwsError("invalid_input", "the header must be an object");
  const problem = headerProblem(header);
  if (problem === "malformed") {
    throw new JwsError("invalid_input", '"alg" must be a string, and "kid", "typ" and "cty" too when they are there');
  }
  if (problem !== undefined) throw new JwsError(problem, JWS_REJECTION_MESSAGES[problem]);
  const text = writeJsonObject(header);
  if (text === undefined) throw new JwsError("invalid_input", "the header has half of a surrogate pair in a string");
  return Buffer.from(text).toString("base64url");
}
