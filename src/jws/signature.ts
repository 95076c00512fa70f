import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";
import type { Algorithm, EcdsaAlgorithm, EddsaAlgorithm, HmacAlgorithm, RsaAlgorithm } from "./algorithms.js";
import { decodeBase64url } from "./base64url.js";

/** Signs a JWS signing input (`header.payload`); returns the signature as base64url. */
export type SignatureMaker = (signingInput: string) => string;

/** Whether base64url text is the signature of a JWS signing input. Never throws. */
export type SignatureCheck = (signingInput: string, signature: string) => boolean;

/** The signing half of a key. The key is known to fit the algorithm. */
export function signatureMaker(algorithm: Algorithm, key: KeyObject): SignatureMaker {
  if (algorithm.kind === "hmac") return hmacOf(algorithm, key);
  const hash = algorithm.kind === "eddsa" ? null : algorithm.hash;
  const options = nodeOptions(algorithm, key);
  return (signingInput) => sign(hash, Buffer.from(signingInput), options).toString("base64url");
}

/** The verifying half of a key. The key is known to fit the algorithm. */
export function signatureCheck(algorithm: Algorithm, key: KeyObject): SignatureCheck {
  if (algorithm.kind === "hmac") return hmacCheck(algorithm, key);
  const hash = algorithm.kind === "eddsa" ? null : algorithm.hash;
  const options = nodeOptions(algorithm, key);
  // r||s has one length only. Anything else, DER among it, is refused before OpenSSL sees it.
  const exactBytes = algorithm.kind === "ecdsa" ? algorithm.signatureBytes : undefined;
  return (signingInput, signature) => {
    const bytes = decodeBase64url(signature);
    if (bytes === undefined || (exactBytes !== undefined && bytes.length !== exactBytes)) return false;
    return verify(hash, Buffer.from(signingInput), options, bytes);
  };
}

/** The input is hashed as UTF-8: as Latin-1, U+0141 would be truncated to "A" and pass for it. */
function hmacOf(algorithm: HmacAlgorithm, key: KeyObject): SignatureMaker {
  const { hash } = algorithm;
  return (signingInput) => createHmac(hash, key).update(signingInput).digest("base64url");
}

/**
 * Compares the canonical text of the expected signature with the text in the token, in constant
 * time. That refuses every other spelling of the same bytes without decoding.
 */
function hmacCheck(algorithm: HmacAlgorithm, key: KeyObject): SignatureCheck {
  const mac = hmacOf(algorithm, key);
  const length = Math.ceil((algorithm.keyBytes * 4) / 3);
  // Written whole by each check and read before it returns: two allocations less for each token.
  const expected = Buffer.alloc(length);
  const given = Buffer.alloc(length);
  return (signingInput, signature) => {
    if (signature.length !== length) return false;
    expected.write(mac(signingInput));
    // A character past ASCII takes several bytes. Where they do not fit at the end, none is written and
    // the bytes of the token before would still stand there; elsewhere they are unlike any base64url.
    if (given.write(signature) !== length) return false;
    return timingSafeEqual(expected, given);
  };
}

function nodeOptions(algorithm: RsaAlgorithm | EcdsaAlgorithm | EddsaAlgorithm, key: KeyObject) {
  if (algorithm.kind === "eddsa") return { key };
  // ECDSA signatures are r||s, never DER: RFC 7518 section 3.4.
  if (algorithm.kind === "ecdsa") return { key, dsaEncoding: "ieee-p1363" as const };
  if (algorithm.padding !== constants.RSA_PKCS1_PSS_PADDING) return { key, padding: algorithm.padding };
  // The salt is as long as the hash: RFC 7518 section 3.5.
  return { key, padding: algorithm.padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}
