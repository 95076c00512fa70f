import { createSecretKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ALGORITHMS, type AlgorithmName } from "./algorithms.js";
import { UnfitKeyError } from "./errors.js";
import type { KeyInput } from "./key-import.js";
import { prepareKey } from "./keys.js";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const secp256k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
const ed25519 = generateKeyPairSync("ed25519");
const x25519 = generateKeyPairSync("x25519");
const pss = generateKeyPairSync("rsa-pss", {
  modulusLength: 2048,
  hashAlgorithm: "sha256",
  mgf1HashAlgorithm: "sha256",
});
const secret = Buffer.alloc(64, 7);

const pem = (key: KeyObject) =>
  (key.type === "private"
    ? key.export({ format: "pem", type: "pkcs8" })
    : key.export({ format: "pem", type: "spki" })
  ).toString();
const jwk = (key: KeyObject): JsonWebKey => key.export({ format: "jwk" });
const prepare = (input: KeyInput, name: AlgorithmName) => prepareKey(input, ALGORITHMS[name]);
const oct = (bytes: number): JsonWebKey => ({ kty: "oct", k: Buffer.alloc(bytes, 7).toString("base64url") });

describe("prepareKey", () => {
  it.each<[string, AlgorithmName, KeyInput, KeyInput | undefined]>([
    ["text", "HS256", "s".repeat(32), undefined],
    ["bytes", "HS512", secret, undefined],
    ["plain Uint8Array", "HS384", new Uint8Array(48), undefined],
    ["KeyObject", "HS256", createSecretKey(secret), undefined],
    ["JWK", "HS256", oct(32), undefined],
    ["PEM", "RS256", pem(rsa.privateKey), pem(rsa.publicKey)],
    ["PEM as bytes", "PS384", Buffer.from(pem(rsa.privateKey)), Buffer.from(pem(rsa.publicKey))],
    ["PEM with white space before it", "RS512", `\n  ${pem(rsa.privateKey)}`, `\n${pem(rsa.publicKey)}`],
    ["JWK", "RS384", jwk(rsa.privateKey), jwk(rsa.publicKey)],
    ["KeyObject", "ES256", p256.privateKey, p256.publicKey],
    ["JWK", "ES384", jwk(p384.privateKey), jwk(p384.publicKey)],
    ["PEM", "EdDSA", pem(ed25519.privateKey), pem(ed25519.publicKey)],
    ["RSA-PSS", "PS256", pss.privateKey, pss.publicKey],
  ])("reads %s for %s; only the private half signs", (_, name, full, publicHalf) => {
    const key = prepare(full, name);
    const signature = key.sign?.("input") ?? "";
    expect(key.check("input", signature)).toBe(true);
    expect(key.check("inpuT", signature)).toBe(false);
    if (publicHalf === undefined) return;
    const verifying = prepare(publicHalf, name);
    expect(verifying.sign).toBeUndefined();
    expect(verifying.check("input", signature)).toBe(true);
  });

  it("reads PEM in the older form of PKCS #1", () => {
    expect(prepare(rsa.publicKey.export({ format: "pem", type: "pkcs1" }), "RS256").sign).toBeUndefined();
    expect(prepare(rsa.privateKey.export({ format: "pem", type: "pkcs1" }), "RS256").sign).toBeDefined();
  });

  const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const exponent3 = generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 });
  const { d: _, ...withoutD } = jwk(p256.privateKey);

  it("accepts the public exponent 3", () => {
    expect(prepare(exponent3.privateKey, "RS256").sign).toBeDefined();
  });

  it.each<[string, AlgorithmName, KeyInput, RegExp]>([
    ["a short secret", "HS256", "s".repeat(31), /needs at least 32 bytes, got 31/],
    ["a short secret in a JWK", "HS512", oct(63), /needs at least 64 bytes, got 63/],
    ["an empty secret", "HS256", "", /got 0/],
    ["a public key in PEM as secret", "HS256", pem(rsa.publicKey), /needs a shared secret, got PEM/],
    ["the same after other text", "HS256", `\u200b# key\n${pem(rsa.publicKey)}`, /got PEM/],
    ["the same as bytes", "HS256", Buffer.from(pem(rsa.publicKey)), /got PEM/],
    [
      "a public key in DER as secret",
      "HS256",
      rsa.publicKey.export({ format: "der", type: "spki" }),
      /got a key in DER/,
    ],
    ["a public JWK as secret", "HS256", jwk(rsa.publicKey), /got a JWK of another type/],
    ["the text of a public JWK as secret", "HS256", JSON.stringify(jwk(rsa.publicKey)), /text of a JWK/],
    ["a public KeyObject as secret", "HS256", rsa.publicKey, /got a public key/],
    ["a private KeyObject as secret", "HS256", p256.privateKey, /got a private key/],
    ["a secret for an asymmetric algorithm", "RS256", createSecretKey(secret), /got a secret/],
    ["text that is not PEM", "RS256", "hello", /without "-----BEGIN"/],
    ["broken PEM", "ES256", "-----BEGIN PUBLIC KEY-----\\nabc\\n-----END PUBLIC KEY-----", /cannot be read/],
    ["RSA of 1024 bits", "RS256", small.privateKey, /at least 2048 bits, got 1024/],
    ["RSA of 1024 bits in a JWK", "PS256", jwk(small.publicKey), /got 1024/],
    ["the public exponent 1", "RS256", { ...jwk(rsa.publicKey), e: "AQ" }, /public exponent/],
    ["an even public exponent", "RS256", { ...jwk(rsa.publicKey), e: "AQAA" }, /public exponent/],
    ["an EC key for RSA", "RS256", p256.privateKey, /needs an RSA key/],
    ["an RSA key for ECDSA", "ES256", rsa.privateKey, /on curve P-256/],
    ["another curve", "ES256", p384.privateKey, /on curve P-256/],
    ["secp256k1", "ES256", secp256k1.privateKey, /on curve P-256/],
    ["an Ed25519 key for ECDSA", "ES256", ed25519.privateKey, /on curve P-256/],
    ["an X25519 key for EdDSA", "EdDSA", x25519.privateKey, /Ed25519/],
    ["an RSA-PSS key for PKCS #1", "RS256", pss.privateKey, /needs an RSA key/],
    ["an RSA-PSS key bound to another hash", "PS384", pss.privateKey, /bound to other parameters/],
    ["use: enc", "RS256", { ...jwk(rsa.publicKey), use: "enc" }, /"use"/],
    ["another alg", "RS256", { ...jwk(rsa.publicKey), alg: "PS256" }, /"alg"/],
    ["key_ops without verify", "HS256", { ...oct(32), key_ops: ["sign"] }, /"key_ops"/],
    ["key_ops that are no list", "RS256", { ...jwk(rsa.publicKey), key_ops: "verify" }, /"key_ops"/],
    ["a kid that is no string", "RS256", { ...jwk(rsa.publicKey), kid: 7 }, /"kid"/],
    ["a JWK without a member", "ES256", { kty: "EC", crv: "P-256", x: withoutD.x ?? "" }, /"y"/],
    ["a JWK member that is not canonical", "HS256", { kty: "oct", k: `${oct(32).k}=` }, /canonical/],
    ["a point that is not on the curve", "ES256", { ...withoutD, y: withoutD.x ?? "" }, /not a valid key/],
    [
      "halves of two keys",
      "EdDSA",
      { ...jwk(ed25519.privateKey), x: jwk(generateKeyPairSync("ed25519").publicKey).x ?? "" },
      /belong together|not a valid/,
    ],
    ["more than two primes", "RS256", { ...jwk(rsa.privateKey), oth: [] }, /two primes/],
    ["an unknown kty", "RS256", { kty: "XYZ" }, /"kty"/],
    ["an object that is no JWK", "RS256", {}, /not a key/],
  ])("refuses %s", (_name, name, input, message) => {
    expect(() => prepare(input, name)).toThrow(UnfitKeyError);
    expect(() => prepare(input, name)).toThrow(message);
  });

  it("respects key_ops: a key that may only verify does not sign", () => {
    const key = prepare({ ...jwk(rsa.privateKey), key_ops: ["verify"] }, "RS256");
    expect(key.sign).toBeUndefined();
    expect(prepare({ ...jwk(rsa.privateKey), key_ops: ["sign"] }, "RS256").sign).toBeDefined();
  });

  it("leaves the decision about a weak secret to the caller", () => {
    const seen: number[] = [];
    const key = prepareKey("short", ALGORITHMS.HS256, (_algorithm, bytes) => seen.push(bytes.length));
    expect(seen).toEqual([5]);
    expect(key.check("a", key.sign?.("a") ?? "")).toBe(true);
  });

  it("names no key material in its messages", () => {
    const k = Buffer.alloc(8, 9).toString("base64url");
    expect(() => prepare({ kty: "oct", k }, "HS256")).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(k) }),
    );
  });
});
