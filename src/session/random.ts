import { randomFillSync } from "node:crypto";

// One call for many requests: the call costs more than the bytes.
const POOL_BYTES = 8192;
let pool = Buffer.alloc(0);
let used = 0;

/**
 * Cryptographically random bytes, for immediate use: each byte is given out once.
 *
 * @param count at most 64
 */
export function takeRandomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    // A new buffer each time: bytes given out earlier stay what they were.
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
    used = 0;
  }
  used += count;
  return pool.subarray(used - count, used);
}
