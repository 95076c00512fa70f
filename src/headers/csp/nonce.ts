import { randomText } from "../../core/random.js";

/** 128 bits: CSP3 section 7.1 asks for at least that. */
const NONCE_BYTES = 16;

/** A new nonce: 128 random bits in base64 (24 characters). */
export function createNonce(): string {
  return randomText(NONCE_BYTES, "base64");
}
