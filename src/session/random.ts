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
  const start = reserve(count);
  return pool.subarray(start, start + count);
}

/**
 * Writes cryptographically random bytes into a buffer, without making another for them.
 *
 * @param count at most 64
 */
export function writeRandomBytes(target: Buffer, at: number, count: number): void {
  const start = reserve(count);
  pool.copy(target, at, start, start + count);
}

/** @returns where in the pool so many bytes begin that nobody else gets */
function reserve(count: number): number {
  if (used + count > pool.length) {
    // A new buffer each time: bytes given out earlier stay what they were.
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
    used = 0;
  }
  used += count;
  return used - count;
}
