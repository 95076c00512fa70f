import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, KeyObject } from "node:crypto";
import { isJsonObject, type JsonObject } from "../core/json.js";
import { keyMaterialIn } from "../core/key-material.js";
import type { Algorithm, HmacAlgorithm } from "./algorithms.js";
import { decodeBase64url } from "./base64url.js";
import { UnfitKeyError } from "./errors.js";

/**
 * A key as it may be given: an HMAC secret as text or bytes, PEM (as text or bytes), a JWK (RFC 7517)
 * or a `KeyObject` of node:crypto.
 */
export type KeyInput = string | Uint8Array | KeyObject | JsonWebKey;

const MAKE_KEY = 'make one with "npx cello keygen"';
const MAKE_SECRET = 'make one with "npx cello secret"';

/** Public members of each JWK key type, then its private ones (RFC 7518 section 6, RFC 8037 section 2). */
const JWK_MEMBERS: Readonly<Record<"RSA" | "EC" | "OKP", { public: readonly string[]; private: readonly string[] }>> = {
  RSA: { public: ["n", "e"], private: ["d", "p", "q", "dp", "dq", "qi"] },
  EC: { public: ["x", "y"], private: ["d"] },
  OKP: { public: ["x"], private: ["d"] },
};

/**
 * The secret of an HMAC key. Whatever is a key of another kind, in whatever dress, is refused: used
 * as a secret a public one would let anybody sign who can read it.
 *
 * @throws UnfitKeyError
 */
export function importSecret(input: KeyInput, algorithm: HmacAlgorithm): KeyObject {
  if (input instanceof KeyObject) {
    if (input.type !== "secret") throw asymmetricKeyAsSecret(algorithm, `a ${input.type} key`);
    refuseKeyMaterial(input.export(), algorithm);
    return input;
  }
  if (typeof input === "string" || input instanceof Uint8Array) {
    const bytes = typeof input === "string" ? Buffer.from(input) : Buffer.from(input);
    return createSecretKey(refuseKeyMaterial(bytes, algorithm));
  }
  const jwk = requireJwk(input);
  if (jwk.kty !== "oct") throw asymmetricKeyAsSecret(algorithm, "a JWK of another type");
  return createSecretKey(refuseKeyMaterial(jwkBytes(jwk, "k"), algorithm));
}

/**
 * The private or public key of an asymmetric algorithm.
 *
 * @throws UnfitKeyError
 */
export function importAsymmetricKey(input: KeyInput, algorithm: Algorithm): KeyObject {
  if (input instanceof KeyObject) {
    if (input.type === "secret") {
      throw new UnfitKeyError(`${algorithm.name} needs a private or public key, got a secret`, MAKE_KEY);
    }
    return input;
  }
  if (typeof input === "string" || input instanceof Uint8Array) return importPem(input, algorithm);
  return importJwk(requireJwk(input), algorithm);
}

/** The members of a JWK, or `undefined` when the key was given in another form. */
export function jwkOf(input: KeyInput): JsonObject | undefined {
  if (typeof input === "string" || input instanceof Uint8Array || input instanceof KeyObject) return undefined;
  return requireJwk(input);
}

export function publicPartOf(jwk: JsonObject): JsonWebKey {
  const { d: _, ...rest } = jwk;
  return rest;
}

function importPem(input: string | Uint8Array, algorithm: Algorithm): KeyObject {
  const text = (typeof input === "string" ? input : Buffer.from(input).toString("latin1")).trim();
  if (!text.startsWith("-----BEGIN ")) {
    throw new UnfitKeyError(
      `${algorithm.name} needs a key in PEM, got text without "-----BEGIN"`,
      'give the PEM text, a JWK or a KeyObject, or set the algorithm to "HS256" for a shared secret',
    );
  }
  try {
    return /^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text) ? createPrivateKey(text) : createPublicKey(text);
  } catch {
    throw new UnfitKeyError(
      "the PEM text cannot be read as a key",
      'give it whole and decrypted, with real line breaks (not the two characters "\\n")',
    );
  }
}

function importJwk(jwk: JsonObject, algorithm: Algorithm): KeyObject {
  const { kty, crv } = jwk;
  if (kty !== "RSA" && kty !== "EC" && kty !== "OKP") {
    throw new UnfitKeyError(`${algorithm.name} cannot use a JWK of this "kty"`, MAKE_KEY);
  }
  if (jwk.oth !== undefined) throw new UnfitKeyError("RSA keys of more than two primes are not supported", MAKE_KEY);
  const members = JWK_MEMBERS[kty];
  const isPrivate = jwk.d !== undefined;
  const key: JsonWebKey = { kty };
  if (kty !== "RSA" && typeof crv === "string") key.crv = crv;
  // Only the checked members are handed on: what Node would do with others is of no concern then.
  for (const member of isPrivate ? [...members.public, ...members.private] : members.public) {
    jwkBytes(jwk, member);
    key[member] = jwk[member];
  }
  try {
    return isPrivate ? createPrivateKey({ key, format: "jwk" }) : createPublicKey({ key, format: "jwk" });
  } catch {
    throw new UnfitKeyError("the JWK is not a valid key", MAKE_KEY);
  }
}

function jwkBytes(jwk: JsonObject, member: string): Buffer {
  const text = jwk[member];
  const bytes = typeof text === "string" ? decodeBase64url(text) : undefined;
  if (bytes === undefined) {
    throw new UnfitKeyError(`the JWK has no "${member}" in canonical base64url`, "give the JWK as it was generated");
  }
  return bytes;
}

function requireJwk(input: unknown): JsonObject {
  if (isJsonObject(input) && typeof input.kty === "string") return input;
  throw new UnfitKeyError("is not a key", "give a string, bytes, PEM, a JWK object or a KeyObject");
}

function refuseKeyMaterial(bytes: Buffer, algorithm: HmacAlgorithm): Buffer {
  const found = keyMaterialIn(bytes);
  if (found === "the text of a JWK") {
    throw new UnfitKeyError(
      `an ${algorithm.name} secret cannot be the text of a JWK`,
      "give the JWK as an object (JSON.parse)",
    );
  }
  if (found !== undefined) throw asymmetricKeyAsSecret(algorithm, found);
  return bytes;
}

function asymmetricKeyAsSecret(algorithm: HmacAlgorithm, what: string): UnfitKeyError {
  return new UnfitKeyError(
    `${algorithm.name} needs a shared secret, got ${what}`,
    `set the algorithm to that of the key, for example "RS256", or for ${algorithm.name} ${MAKE_SECRET}`,
  );
}
