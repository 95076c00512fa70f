import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { JsonObject } from "../core/json.js";
import type { Algorithm, EcdsaAlgorithm, HmacAlgorithm, RsaAlgorithm } from "./algorithms.js";
import { UnfitKeyError } from "./errors.js";
import { importAsymmetricKey, importSecret, jwkOf, type KeyInput, publicPartOf } from "./key-import.js";
import { type SignatureCheck, type SignatureMaker, signatureCheck, signatureMaker } from "./signature.js";

/** A key that has been checked against its algorithm, once, and is ready for use. */
export interface PreparedKey {
  readonly algorithm: Algorithm;
  /** The key id, when the key was given as a JWK that has one. */
  readonly kid: string | undefined;
  /** A hash by which the same key is known again; a key pair has one for its private half and one for its public. */
  readonly fingerprint: string;
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

/** RFC 7518 sections 3.3 and 3.5: RSA keys have at least so many bits. */
const RSA_MIN_BITS = 2048;

/**
 * Checks an asymmetric key's type, curve and size against its algorithm.
 *
 * @throws UnfitKeyError
 */
function requireFitKey(key: KeyObject, algorithm: Algorithm): void {
  const type = key.asymmetricKeyType ?? "unknown";
  if (algorithm.kind === "rsa") requireRsaKey(key, type, algorithm);
  else if (algorithm.kind === "ecdsa") requireEcKey(key, type, algorithm);
  else if (type !== "ed25519" && type !== "ed448") throw wrongKey(algorithm, "an Ed25519 or Ed448 key", type);
}

/**
 * Reads what a JWK says about its own use (RFC 7517 sections 4.2 to 4.5: `kid`, `use`, `alg` and `key_ops`), and
 * refuses one that is meant for something else than to verify with this algorithm.
 *
 * @throws UnfitKeyError
 */
function readJwkUse(jwk: JsonObject, algorithm: Algorithm) {
  const { kid, use, alg, key_ops: operations } = jwk;
  if (kid !== undefined && typeof kid !== "string") {
    throw new UnfitKeyError('the "kid" of the JWK is not a string', "give the key id as a string");
  }
  if (use !== undefined && use !== "sig") {
    throw new UnfitKeyError('the JWK has a "use" other than "sig"', "give a key that is meant for signatures");
  }
  if (alg !== undefined && alg !== algorithm.name) {
    throw new UnfitKeyError(
      `the JWK is meant for another "alg" than ${algorithm.name}`,
      "set the algorithm to that of the key",
    );
  }
  if (operations === undefined) return { kid, maySign: true };
  const maySign = Array.isArray(operations) && operations.includes("sign");
  // The public half of a private key that signs is there to verify; a shared secret has no halves.
  const isSigningHalf = maySign && jwk.kty !== "oct";
  if (!isSigningHalf && !(Array.isArray(operations) && operations.includes("verify"))) {
    throw new UnfitKeyError(
      'the "key_ops" of the JWK do not allow to verify',
      'give a key whose "key_ops" name "verify"',
    );
  }
  return { kid, maySign };
}

function requireRsaKey(key: KeyObject, type: string, algorithm: RsaAlgorithm): void {
  const isPss = algorithm.name.startsWith("PS");
  if (type !== "rsa" && !(isPss && type === "rsa-pss")) throw wrongKey(algorithm, "an RSA key", type);
  const details = key.asymmetricKeyDetails ?? {};
  const bits = details.modulusLength ?? 0;
  if (bits < RSA_MIN_BITS) {
    throw new UnfitKeyError(
      `${algorithm.name} needs an RSA key of at least ${RSA_MIN_BITS} bits, got ${bits}`,
      `make one with "npx cello keygen ${algorithm.name}"`,
    );
  }
  const exponent = details.publicExponent ?? 0n;
  // With exponent 1 the signature is the message; an even exponent has no inverse.
  if (exponent <= 2n || exponent % 2n === 0n) {
    throw new UnfitKeyError(
      "the RSA key has a public exponent that is not odd and greater than 2",
      `make a key with "npx cello keygen ${algorithm.name}"`,
    );
  }
  // An rsa-pss key may be bound to parameters, which must be those of the algorithm.
  const { hashAlgorithm = algorithm.hash, mgf1HashAlgorithm = algorithm.hash, saltLength = 0 } = details;
  if (hashAlgorithm !== algorithm.hash || mgf1HashAlgorithm !== algorithm.hash || saltLength > algorithm.hashBytes) {
    throw new UnfitKeyError(
      `the RSA-PSS key is bound to other parameters than those of ${algorithm.name}`,
      "set the algorithm to that of the key",
    );
  }
}

function requireEcKey(key: KeyObject, type: string, algorithm: EcdsaAlgorithm): void {
  const wanted = `an EC key on curve ${algorithm.curve}`;
  if (type !== "ec") throw wrongKey(algorithm, wanted, type);
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "unknown";
  if (curve !== algorithm.namedCurve) throw wrongKey(algorithm, wanted, `one on ${curve}`);
}

function wrongKey(algorithm: Algorithm, wanted: string, got: string): UnfitKeyError {
  return new UnfitKeyError(
    `${algorithm.name} needs ${wanted}, got ${got}`,
    `set the algorithm to that of the key, or make a key with "npx cello keygen ${algorithm.name}"`,
  );
}
