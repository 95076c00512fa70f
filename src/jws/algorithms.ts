import { constants } from "node:crypto";

/** HMAC with SHA-2 (RFC 7518 section 3.2). */
export interface HmacAlgorithm {
  readonly kind: "hmac";
  readonly name: "HS256" | "HS384" | "HS512";
  readonly hash: string;
  /** A key must be at least as long as the hash, in bytes. */
  readonly keyBytes: number;
}

/** RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 sections 3.3 and 3.5). */
export interface RsaAlgorithm {
  readonly kind: "rsa";
  readonly name: "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512";
  readonly hash: string;
  readonly padding: number;
  /** Bytes of the hash, which is also the length of the salt in PSS. */
  readonly hashBytes: number;
}

/** ECDSA (RFC 7518 section 3.4). */
export interface EcdsaAlgorithm {
  readonly kind: "ecdsa";
  readonly name: "ES256" | "ES384" | "ES512";
  readonly hash: string;
  /** The only curve of the algorithm, as OpenSSL and as JWK name it. */
  readonly namedCurve: string;
  readonly curve: string;
  /** Signatures are r||s, each as long as the curve's order: exactly so many bytes. */
  readonly signatureBytes: number;
}

/** EdDSA with Ed25519 or Ed448 (RFC 8037 section 3.1). */
export interface EddsaAlgorithm {
  readonly kind: "eddsa";
  readonly name: "EdDSA";
}

/** A signature algorithm and everything that is to be known of it. */
export type Algorithm = HmacAlgorithm | RsaAlgorithm | EcdsaAlgorithm | EddsaAlgorithm;

/** The name of an algorithm, as it stands in `alg`. `none` is not among them. */
export type AlgorithmName = Algorithm["name"];

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = constants;

/** Every algorithm that can be configured. */
export const ALGORITHMS: Readonly<Record<AlgorithmName, Algorithm>> = Object.freeze({
  HS256: { kind: "hmac", name: "HS256", hash: "sha256", keyBytes: 32 },
  HS384: { kind: "hmac", name: "HS384", hash: "sha384", keyBytes: 48 },
  HS512: { kind: "hmac", name: "HS512", hash: "sha512", keyBytes: 64 },
  RS256: { kind: "rsa", name: "RS256", hash: "sha256", padding: RSA_PKCS1_PADDING, hashBytes: 32 },
  RS384: { kind: "rsa", name: "RS384", hash: "sha384", padding: RSA_PKCS1_PADDING, hashBytes: 48 },
  RS512: { kind: "rsa", name: "RS512", hash: "sha512", padding: RSA_PKCS1_PADDING, hashBytes: 64 },
  PS256: { kind: "rsa", name: "PS256", hash: "sha256", padding: RSA_PKCS1_PSS_PADDING, hashBytes: 32 },
  PS384: { kind: "rsa", name: "PS384", hash: "sha384", padding: RSA_PKCS1_PSS_PADDING, hashBytes: 48 },
  PS512: { kind: "rsa", name: "PS512", hash: "sha512", padding: RSA_PKCS1_PSS_PADDING, hashBytes: 64 },
  ES256: ecdsa("ES256", "sha256", "prime256v1", "P-256", 64),
  ES384: ecdsa("ES384", "sha384", "secp384r1", "P-384", 96),
  ES512: ecdsa("ES512", "sha512", "secp521r1", "P-521", 132),
  EdDSA: { kind: "eddsa", name: "EdDSA" },
} satisfies Record<AlgorithmName, Algorithm>);

/** The names of all algorithms, in the order of the table. */
export const ALGORITHM_NAMES: readonly AlgorithmName[] = Object.freeze(
  Object.values(ALGORITHMS).map((algorithm) => algorithm.name),
);

/** Whether a text names one of the algorithms, exactly (names are case-sensitive). */
export function isAlgorithmName(name: unknown): name is AlgorithmName {
  return typeof name === "string" && Object.hasOwn(ALGORITHMS, name);
}

function ecdsa(
  name: EcdsaAlgorithm["name"],
  hash: string,
  namedCurve: string,
  curve: string,
  signatureBytes: number,
): EcdsaAlgorithm {
  return { kind: "ecdsa", name, hash, namedCurve, curve, signatureBytes };
}
