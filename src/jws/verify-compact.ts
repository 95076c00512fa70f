import { KeyObject } from "node:crypto";
import { strictFunction } from "../core/strict-calls.js";
import { ALGORITHMS, type AlgorithmName, isAlgorithmName } from "./algorithms.js";
import { JWS_REJECTION_MESSAGES, JwsError, UnfitKeyError } from "./errors.js";
import type { JwsHeader } from "./header.js";
import type { KeyInput } from "./key-import.js";
import { type PreparedKey, prepareKey } from "./keys.js";
import { Verifier } from "./verifier.js";

const verifiers = new WeakMap<KeyObject, Map<string, Verifier>>();

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
function verifierOf(key: KeyObject, algorithms: readonly AlgorithmName[]): Verifier {
  const byAlgorithms = verifiers.get(key) ?? new Map<string, Verifier>();
  const name = algorithms.join();
  const verifier = byAlgorithms.get(name) ?? makeVerifier(key, algorithms);
  verifiers.set(key, byAlgorithms.set(name, verifier));
  return verifier;
}

function makeVerifier(keys: KeyInput | readonly KeyInput[], algorithms: readonly AlgorithmName[]): Verifier {
  const list = isList(keys) ? keys : [keys];
  if (list.length === 0) throw new UnfitKeyError("there is no key", "give at least one");
  return new Verifier(list.flatMap((key) => prepareForEach(key, algorithms)));
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
