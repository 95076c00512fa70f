import type { KeyObject } from "node:crypto";
import type { JsonObject } from "../core/json.js";
import type { Algorithm, EcdsaAlgorithm, RsaAlgorithm } from "./algorithms.js";
import { UnfitKeyError } from "./errors.js";

/** RFC 7518 sections 3.3 and 3.5: RSA keys have at least so many bits. */
const RSA_MIN_BITS = 2048;

/**
 * Checks an asymmetric key's type, curve and size against its algorithm.
 *
 * @throws UnfitKeyError
 */
export function requireFitKey(key: KeyObject, algorithm: Algorithm): void {
  const type = key.asymmetricKeyType ?? "unknown";
  if (algorithm.kind === "rsa") requireRsaKey(key, type, algorithm);
  else if (algorithm.kind === "ecdsa") requireEcKey(key, type, algorithm);
  else if (type !== "ed25519" && type !== "ed448") throw wrongKey(algorithm, "an Ed25519 or Ed448 key", type);
}

/** What a JWK says about its own use (RFC 7517 sections 4.2 to 4.5). */
export interface JwkUse {
  readonly kid: string | undefined;
  readonly maySign: boolean;
  readonly mayVerify: boolean;
}

/**
 * Reads `kid`, `use`, `alg` and `key_ops` of a JWK and refuses one that is meant for something else.
 *
 * @throws UnfitKeyError
 */
export function readJwkUse(jwk: JsonObject, algorithm: Algorithm): JwkUse {
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
  if (operations === undefined) return { kid, maySign: true, mayVerify: true };
  const maySign = Array.isArray(operations) && operations.includes("sign");
  // The public half of a private key that signs is there to verify; a shared secret has no halves.
  const isSigningHalf = maySign && jwk.kty !== "oct";
  const mayVerify = isSigningHalf || (Array.isArray(operations) && operations.includes("verify"));
  if (!mayVerify) {
    throw new UnfitKeyError(
      'the "key_ops" of the JWK do not allow to verify',
      'give a key whose "key_ops" name "verify"',
    );
  }
  return { kid, maySign, mayVerify };
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
