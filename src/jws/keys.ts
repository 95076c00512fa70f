import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { JsonObject } from "../core/json.js";
import type { Algorithm, HmacAlgorithm } from "./algorithms.js";
import { UnfitKeyError } from "./errors.js";
import { readJwkUse, requireFitKey } from "./key-fitness.js";
import { importAsymmetricKey, importSecret, jwkOf, type KeyInput, publicPartOf } from "./key-import.js";
import { type SignatureCheck, type SignatureMaker, signatureCheck, signatureMaker } from "./signature.js";

/** A key that has been checked against its algorithm, once, and is ready for use. */
export interface PreparedKey {
  readonly algorithm: Algorithm;
  /** The key id, when the key was given as a JWK that has one. */
  readonly kid: string | undefined;
  /** A hash by which the same key is known again; a key pair has one for its private half and one for its public. */
  readonly fingerprint: string;
  /** Checks a signature. */
  readonly check: SignatureCheck;
  /** Makes a signature; `undefined` for a public key. */
  readonly sign: SignatureMaker | undefined;
}

/** Looks at an HMAC secret: throws when it is too weak, or lets it pass. */
export type SecretPolicy = (algorithm: HmacAlgorithm, secret: Uint8Array) => void;

/**
 * Turns a key as it was given into one that is typed to its algorithm: type, curve, size, and for a
 * JWK its `use`, `alg` and `key_ops` are checked here and never again.
 *
 * @param checkSecret decides about HMAC secrets; by default those shorter than the hash are refused
 * @throws UnfitKeyError
 */
export function prepareKey(
  input: KeyInput,
  algorithm: Algorithm,
  checkSecret: SecretPolicy = refuseShortSecret,
): PreparedKey {
  const jwk = jwkOf(input);
  const use = jwk === undefined ? { kid: undefined, maySign: true } : readJwkUse(jwk, algorithm);
  if (algorithm.kind === "hmac") {
    const secret = importSecret(input, algorithm);
    const bytes = secret.export();
    checkSecret(algorithm, bytes);
    const sign = use.maySign ? signatureMaker(algorithm, secret) : undefined;
    const fingerprint = secretFingerprint(bytes);
    return Object.freeze({ algorithm, kid: use.kid, fingerprint, check: signatureCheck(algorithm, secret), sign });
  }
  const key = importAsymmetricKey(input, algorithm);
  requireFitKey(key, algorithm);
  const isPrivate = key.type === "private";
  const publicKey = isPrivate ? publicHalf(key, jwk, algorithm) : key;
  const check = signatureCheck(algorithm, publicKey);
  const sign = isPrivate ? signatureMaker(algorithm, key) : undefined;
  if (jwk !== undefined && sign !== undefined && !check("probe", sign("probe"))) {
    throw new UnfitKeyError("the private and public parts of the JWK do not belong together", "give one key pair");
  }
  // With another id it is another entry: that is how a key gets a new id.
  const fingerprint = fingerprintOf(`${key.type} ${use.kid ?? ""}`, publicKey.export({ format: "der", type: "spki" }));
  return Object.freeze({ algorithm, kid: use.kid, fingerprint, check, sign: use.maySign ? sign : undefined });
}

/** The `fingerprint` of an HMAC secret, also of one that is used for something else. */
export function secretFingerprint(secret: Uint8Array): string {
  return fingerprintOf("secret", secret);
}

function fingerprintOf(kind: string, bytes: Uint8Array): string {
  return createHash("sha256").update(`${kind}\0`).update(bytes).digest("base64");
}

/** Of a JWK it is read from the JWK: its parts come separately and may belong to different keys. */
function publicHalf(key: KeyObject, jwk: JsonObject | undefined, algorithm: Algorithm): KeyObject {
  return jwk === undefined ? createPublicKey(key) : importAsymmetricKey(publicPartOf(jwk), algorithm);
}

function refuseShortSecret(algorithm: HmacAlgorithm, secret: Uint8Array): void {
  if (secret.length >= algorithm.keyBytes) return;
  throw new UnfitKeyError(
    `an ${algorithm.name} key needs at least ${algorithm.keyBytes} bytes, got ${secret.length}`,
    'make one with "npx cello secret"',
  );
}
