import { KeyObject } from "node:crypto";
import { isJsonObject } from "../core/json.js";
import { strictFunction } from "../core/strict-calls.js";
import { ALGORITHMS, type AlgorithmName, isAlgorithmName } from "./algorithms.js";
import { encodeBase64url } from "./base64url.js";
import { JWS_REJECTION_MESSAGES, JwsError, UnfitKeyError } from "./errors.js";
import { headerProblem, type JwsHeader } from "./header.js";
import { writeJsonObject } from "./json.js";
import type { KeyInput } from "./key-import.js";
import { type PreparedKey, prepareKey } from "./keys.js";
import { JwsVerifier } from "./verifier.js";

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

const verifiers = new WeakMap<KeyObject, Map<string, JwsVerifier>>();

/** What `verifyCompact` expects of a token. */
export interface VerifyCompactOptions {
  /** The algorithms that are accepted: `["ES256"]`. */
  readonly algorithms: readonly string[];
}

/** What a compact JWS says, verified. */
export interface VerifyCompactResult {
  /** The protected header, frozen. */
  readonly header: JwsHeader;
  /** The signed bytes. */
  readonly payload: Uint8Array;
}

/**
 * Verifies a JWS in compact form (RFC 7515 section 5.2) and returns what was signed.
 *
 * Each key is used only with those of the algorithms that it fits, and keys are never taken from the
 * token. Refused are `crit`, `b64`, `jwk`, `jku`, `x5u` and `x5c` in the header, duplicate member
 * names, and base64url that is not canonical.
 *
 * @param keys one key or several, of which the token's `kid` chooses
 * @throws JwsError with a `code` that says why
 *
 * @example
 * const { header, payload } = verifyCompact(token, publicKeyPem, { algorithms: ["ES256"] });
 */
export const verifyCompact = strictFunction(
  "verifyCompact(token, keys, { algorithms })",
  function verifyCompact(
    token: string,
    keys: KeyInput | readonly KeyInput[],
    options: VerifyCompactOptions,
  ): VerifyCompactResult {
    const algorithms = readAlgorithms(options);
    const verifier = keys instanceof KeyObject ? verifierOf(keys, algorithms) : makeVerifier(keys, algorithms);
    if (typeof token !== "string") throw new JwsError("malformed", JWS_REJECTION_MESSAGES.malformed);
    const result = verifier.verify(token);
    if (typeof result === "string") throw new JwsError(result, JWS_REJECTION_MESSAGES[result]);
    // A copy: small Node buffers share their memory with unrelated ones.
    return { header: result.header, payload: new Uint8Array(result.payload) };
  },
);

/** A KeyObject cannot change, so it is checked only once; text and JWKs are read anew by each call. */
function verifierOf(key: KeyObject, algorithms: readonly AlgorithmName[]): JwsVerifier {
  const byAlgorithms = verifiers.get(key) ?? new Map<string, JwsVerifier>();
  const name = algorithms.join();
  const verifier = byAlgorithms.get(name) ?? makeVerifier(key, algorithms);
  verifiers.set(key, byAlgorithms.set(name, verifier));
  return verifier;
}

function makeVerifier(keys: KeyInput | readonly KeyInput[], algorithms: readonly AlgorithmName[]): JwsVerifier {
  const list = isList(keys) ? keys : [keys];
  if (list.length === 0) throw new UnfitKeyError("there is no key", "give at least one");
  return new JwsVerifier(list.flatMap((key) => prepareForEach(key, algorithms)));
}

function readAlgorithms(options: VerifyCompactOptions | undefined): readonly AlgorithmName[] {
  const names: unknown = options?.algorithms;
  if (!Array.isArray(names) || names.length === 0 || !names.every(isAlgorithmName)) {
    throw new JwsError("algorithm", `"algorithms" must be a list of ${Object.keys(ALGORITHMS).join(", ")}`);
  }
  return [...new Set<AlgorithmName>(names)];
}

/** A key may fit several algorithms (RS256 and PS256); one that fits none is an error. */
function prepareForEach(key: KeyInput, algorithms: readonly AlgorithmName[]): PreparedKey[] {
  const prepared: PreparedKey[] = [];
  let unfit: UnfitKeyError | undefined;
  for (const name of algorithms) {
    try {
      prepared.push(prepareKey(key, ALGORITHMS[name]));
    } catch (error) {
      if (!(error instanceof UnfitKeyError)) throw error;
      unfit ??= error;
    }
  }
  if (prepared.length === 0 && unfit !== undefined) throw unfit;
  return prepared;
}

function isList(keys: KeyInput | readonly KeyInput[]): keys is readonly KeyInput[] {
  return Array.isArray(keys);
}
