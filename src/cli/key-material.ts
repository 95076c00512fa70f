import { generateKeyPairSync, type JsonWebKey, type KeyObject, randomBytes } from "node:crypto";
import { calculateJwkThumbprint } from "jose";
import {
  ALGORITHM_NAMES,
  ALGORITHMS,
  type Algorithm,
  type AlgorithmName,
  type HmacAlgorithm,
} from "../jws/algorithms.js";

/** One form of a new key, ready to be written to a file. */
export interface KeyDocument {
  /** What follows the prefix in the file name, for example `private.pem`. */
  readonly suffix: string;
  /** The text of an HMAC secret, which has no PEM, counts as `pem`. */
  readonly format: "pem" | "jwk";
  /** Whether it must be kept from others. */
  readonly isPrivate: boolean;
  readonly text: string;
}

/** What the user may choose of a new key. */
export interface KeyOptions {
  /** `kid` of the JWK; by default the RFC 7638 thumbprint, for HMAC a random one. */
  readonly kid?: string | undefined;
  /** Size of an RSA modulus in bits. */
  readonly bits: number;
}

/** Makes a key for an algorithm and gives it in every form that is usual for it. */
export async function generateKeyDocuments(name: AlgorithmName, options: KeyOptions): Promise<KeyDocument[]> {
  const algorithm = ALGORITHMS[name];
  if (algorithm.kind === "hmac") return hmacDocuments(algorithm, options.kid);
  const { privateKey, publicKey } = generatePair(algorithm, options.bits);
  const publicJwk = publicKey.export({ format: "jwk" });
  const labels = { use: "sig", alg: name, kid: options.kid ?? (await thumbprint(publicJwk)) };
  return [
    document("private.pem", pemText(privateKey.export({ format: "pem", type: "pkcs8" }))),
    document("public.pem", pemText(publicKey.export({ format: "pem", type: "spki" }))),
    document("private.jwk.json", jwkText({ ...privateKey.export({ format: "jwk" }), ...labels })),
    document("public.jwk.json", jwkText({ ...publicJwk, ...labels })),
  ];
}

/** The algorithm that a key pair is for, where the key itself leaves no choice; RSA leaves six. */
export function algorithmOfKey(key: KeyObject): AlgorithmName | undefined {
  const type = key.asymmetricKeyType;
  if (type === "ed25519" || type === "ed448") return "EdDSA";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return ALGORITHM_NAMES.find((name) => {
    const algorithm = ALGORITHMS[name];
    return algorithm.kind === "ecdsa" && algorithm.namedCurve === curve;
  });
}

/**
 * The secret as text and as JWK are the same key: `JwtConfig` takes a text secret as its UTF-8
 * bytes, so the JWK's `k` encodes the text and not the random bytes under it.
 */
function hmacDocuments({ name, keyBytes }: HmacAlgorithm, kid: string | undefined): KeyDocument[] {
  const text = randomBytes(keyBytes).toString("base64url");
  // No thumbprint: it would be a hash of the secret, and a kid is public (RFC 7638 section 7).
  const labels = { use: "sig", alg: name, kid: kid ?? randomBytes(9).toString("base64url") };
  const jwk = { kty: "oct", k: Buffer.from(text, "utf8").toString("base64url"), ...labels };
  return [
    { suffix: "secret.txt", format: "pem", isPrivate: true, text: `${text}\n` },
    { suffix: "secret.jwk.json", format: "jwk", isPrivate: true, text: jwkText(jwk) },
  ];
}

function generatePair(
  algorithm: Exclude<Algorithm, HmacAlgorithm>,
  bits: number,
): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (algorithm.kind) {
    case "eddsa":
      return generateKeyPairSync("ed25519");
    case "ecdsa":
      return generateKeyPairSync("ec", { namedCurve: algorithm.namedCurve });
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: bits });
  }
}

function document(suffix: string, text: string): KeyDocument {
  const format = suffix.endsWith(".pem") ? "pem" : "jwk";
  return { suffix, format, isPrivate: suffix.startsWith("private"), text };
}

function pemText(pem: string | Buffer): string {
  return pem.toString();
}

function jwkText(jwk: JsonWebKey): string {
  return `${JSON.stringify(jwk, null, 2)}\n`;
}

/** RFC 7638: the same key always gets the same name. */
async function thumbprint(jwk: JsonWebKey): Promise<string> {
  const { kty, crv, x, y, n, e } = jwk;
  return calculateJwkThumbprint(Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, v]) => v)));
}
