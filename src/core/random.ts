import { randomFillSync } from "node:crypto";

// One call into the operating system's generator pays for many: the call costs more than the bytes.
const pool = Buffer.alloc(8192);
let next = pool.length;

/**
 * Cryptographically random bytes as text: each byte is given out once, and then overwritten, so that a leak
 * of this memory tells nothing about what was made of it.
 *
 * @param count of bytes, at most 64
 */
export function randomText(count: number, encoding: "base64" | "base64url"): string {
  const start = reserve(count);
  const text = pool.toString(encoding, start, next);
  pool.fill(0, start, next);
  return text;
}

/**
 * Writes cryptographically random bytes into a buffer, as {@link randomText} gives them.
 *
 * @param count of bytes, at most 64
 */
export function writeRandomBytes(target: Buffer, at: number, count: number): void {
  const start = reserve(count);
  pool.copy(target, at, start, next);
  pool.fill(0, start, next);
}

/** @returns where in the pool the bytes begin; they end at `next` */
function reserve(count: number): number {
  if (next + count > pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const start = next;
  next += count;
  return start;
}
