import { randomBytes } from "node:crypto";

const MIN_SLOTS = 4096;

/** 16 MB. */
const MAX_SLOTS = 2 ** 22;

/** Slots for each token that is kept, so that few push each other out. */
const SLOTS_PER_TOKEN = 4;

/** Which characters are read, counted from the end: within the signature, whatever the algorithm. */
const FROM_END = 40;
const CHARACTERS = 8;

/**
 * Fingerprints of verified tokens in a table of fixed size: whether a token may have been seen before.
 *
 * A hint, never a proof: tokens can share a fingerprint, and newer ones push out older ones. Slots
 * come in pairs of a newer and an older fingerprint, so that it takes two tokens to push one out.
 * Only verified tokens are added. Their signatures look random and cannot be chosen by clients, so
 * eight characters (48 bits) of them are enough; the hash of these is random for each process, so
 * that nobody can know which tokens share a pair.
 */
export class SeenTokens {
  readonly #slots: Int32Array;
  readonly #seed = randomBytes(4).readInt32LE();
  readonly #factor = randomBytes(4).readInt32LE() | 1;

  /** @param tokens for how many tokens it should do */
  constructor(tokens: number) {
    const wanted = 2 ** Math.ceil(Math.log2(tokens * SLOTS_PER_TOKEN));
    this.#slots = new Int32Array(Math.min(MAX_SLOTS, Math.max(MIN_SLOTS, wanted)));
  }

  /** Whether the token may have been added; `false` is right except for tokens that were pushed out. */
  has(token: string): boolean {
    const fingerprint = this.#fingerprint(token);
    return this.#isIn(this.#pairOf(fingerprint), fingerprint);
  }

  /** Adds a verified token; `false` when one with its fingerprint was there already. */
  add(token: string): boolean {
    const fingerprint = this.#fingerprint(token);
    const pair = this.#pairOf(fingerprint);
    if (this.#isIn(pair, fingerprint)) return false;
    this.#slots[pair + 1] = this.#slots[pair] ?? 0;
    this.#slots[pair] = fingerprint;
    return true;
  }

  #isIn(pair: number, fingerprint: number): boolean {
    return this.#slots[pair] === fingerprint || this.#slots[pair + 1] === fingerprint;
  }

  /** Where the pair of a fingerprint begins: an even index. */
  #pairOf(fingerprint: number): number {
    return fingerprint & (this.#slots.length - 2);
  }

  #fingerprint(token: string): number {
    const start = Math.max(0, token.length - FROM_END);
    const end = Math.min(token.length, start + CHARACTERS);
    let mixed = this.#seed;
    for (let index = start; index < end; index++) {
      mixed = Math.imul(mixed ^ token.charCodeAt(index), this.#factor);
      // Products only carry upwards: this brings the upper bits down again.
      mixed ^= mixed >>> 15;
    }
    // Zero is an empty slot.
    return mixed === 0 ? 1 : mixed;
  }
}
