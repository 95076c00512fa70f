import { randomBytes } from "node:crypto";

/**
 * A keyed 64-bit hash of strings: HalfSipHash-1-3, with both halves of its last state taken.
 *
 * Limits keep this fingerprint instead of the key. It defends hash tables against flooding: the key
 * is random in each process, so nobody outside can choose addresses or names that collide. It is a
 * hash-table hash and no cryptography; among a million keys, two share a fingerprint with a chance of
 * about one to 37 million, and would then share a quota.
 *
 * The result stands in `high` and `low` (signed 32-bit numbers) so that nothing is allocated.
 */
export class KeyHasher {
  high = 0;
  low = 0;
  readonly #key0: number;
  readonly #key1: number;

  /** @param key eight bytes; random when not given */
  constructor(key: Buffer = randomBytes(8)) {
    this.#key0 = key.readInt32LE(0);
    this.#key1 = key.readInt32LE(4);
  }

  /** Hashes the UTF-16 units of a text into `high` and `low`. `high` is never 0. */
  hash(text: string): void {
    const { length } = text;
    const blocks = (length + 3) >> 2;
    let last = blocks;
    let all = 0;
    let v0 = this.#key0;
    let v1 = this.#key1;
    let v2 = this.#key0 ^ 0x6c796765;
    let v3 = this.#key1 ^ 0x74656462;
    // Three empty words follow the last one: the rounds that close the hash.
    for (let block = 0; block <= last + 3; block++) {
      let word = 0;
      if (block < blocks) {
        const index = block * 4;
        const a = text.charCodeAt(index);
        const b = index + 1 < length ? text.charCodeAt(index + 1) : 0;
        const c = index + 2 < length ? text.charCodeAt(index + 2) : 0;
        const d = index + 3 < length ? text.charCodeAt(index + 3) : 0;
        word = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
        // A byte each is enough for addresses and most names; where it is not, all units follow whole.
        all |= a | b | c | d;
        if (block === blocks - 1 && all > 0xff) last = blocks + length;
      } else if (block < last) {
        word = text.charCodeAt(block - blocks) | 0x10000;
      } else if (block === last) {
        // The length closes the message: "a" and "a\0" fill their words alike.
        word = length;
      }
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      if (block === last) v2 ^= 0xff;
    }
    this.low = v0 ^ v2;
    // 0 marks an empty slot in the tables.
    this.high = v1 ^ v3 || 1;
  }
}

/** One for the process: every table of fingerprints uses the same random key. */
export const keyHasher = new KeyHasher();
