import { createPublicKey, type KeyObject } from "node:crypto";
import type { Algorithm, HmacAlgorithm } from "./algorithms.js";
import { UnfitKeyError } from "./errors.js";
import type { JsonObject } from "./json.js";
import { readJwkUse, requireFitKey } from "./key-fitness.js";
import { importAsymmetricKey, importSecret, jwkOf, type KeyInput, publicPartOf } from "./key-import.js";
import { type SignatureCheck, type SignatureMaker, signatureCheck, signatureMaker } from "./signature.js";

/** A key that has been checked against its algorithm, once, and is ready for use. */
export interface PreparedKey {
  readonly algorithm: Algorithm;
  /** The key id, when the key was given as a JWK that has one. */
  readonly kid: string | undefined;
  /** Checks a signature. */
  readonly check: SignatureCheck;
  /** Makes a signature; `undefined` for a public key. */
  readonly sign: SignatureMaker | undefined;
}

/** What to do with an HMAC secret that is shorter than its hash: throw, or let it pass. */
export type ShortSecretPolicy = (algorithm: HmacAlgorithm, actualBytes: number) => void;

/**
 * Turns a key as it was given into one that is typed to its algorithm: type, curve, size, and for a
 * JWK its `use`, `alg` and `key_ops` are checked here and never again.
 *
 * @param onShortSecret decides about short HMAC secrets; by default they are refused
 * @throws UnfitKeyError
 */
export function prepareKey(
  input: KeyInput,
  algorithm: Algorithm,
  onShortSecret: ShortSecretPolicy = refuseShortSecret,
): PreparedKey {
  const jwk = jwkOf(input);
  const use = jwk === undefined ? { kid: undefined, maySign: true } : readJwkUse(jwk, algorithm);
  if (algorithm.kind === "hmac") {
    const secret = importSecret(input, algorithm);
    const actualBytes = secret.symmetricKeySize ?? 0;
    if (actualBytes < algorithm.keyBytes) onShortSecret(algorithm, actualBytes);
    const sign = use.maySign ? signatureMaker(algorithm, secret) : undefined;
    return Object.freeze({ algorithm, kid: use.kid, check: signatureCheck(algorithm, secret), sign });
  }
  const key = importAsymmetricKey(input, algorithm);
  requireFitKey(key, algorithm);
  const isPrivate = key.type === "private";
  const check = signatureCheck(algorithm, isPrivate ? publicHalf(key, jwk, algorithm) : key);
  const sign = isPrivate ? signatureMaker(algorithm, key) : undefined;
  if (jwk !== undefined && sign !== undefined && !check("probe", sign("probe"))) {
    throw new UnfitKeyError("the private and public parts of the JWK do not belong together", "give one key pair");
  }
  return Object.freeze({ algorithm, kid: use.kid, check, sign: use.maySign ? sign : undefined });
}

/** Of a JWK it is read from the JWK: its parts come separately and may belong to different keys. */
function publicHalf(key: KeyObject, jwk: JsonObject | undefined, algorithm: Algorithm): KeyObject {
  return jwk === undefined ? createPublicKey(key) : importAsymmetricKey(publicPartOf(jwk), algorithm);
}

function refuseShortSecret(algorithm: HmacAlgorithm, actualBytes: number): never {
  throw new UnfitKeyError(
    `an ${algorithm.name} key needs at least ${algorithm.keyBytes} bytes, got ${actualBytes}`,
    'make one with "npx cello secret"',
  );
}
