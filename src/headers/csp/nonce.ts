import { randomFillSync } from "node:crypto";

/** 128 bits: CSP3 section 7.1 asks for at least that. */
const NONCE_BYTES = 16;
/** One call into the operating system's generator pays for so many nonces. */
const POOLED_NONCES = 256;

const pool = Buffer.alloc(NONCE_BYTES * POOLED_NONCES);
let next = pool.length;

/**
 * A new nonce: 128 random bits in base64 (24 characters).
 *
 * The bits come from a pool that is filled 256 nonces at a time. The bytes of a nonce are used once
 * and overwritten, so that a leak of this memory tells nothing about nonces already sent.
 */
export function createNonce(): string {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const start = next;
  next += NONCE_BYTES;
  const nonce = pool.toString("base64", start, next);
  pool.fill(0, start, next);
  return nonce;
}
