import { randomBytes } from "node:crypto";
import { Remembered } from "../core/remembered.js";

const MIN_SLOTS = 4096;

/** 16 MB. */
const MAX_SLOTS = 2 ** 22;

/** Slots for each token that is kept, so that few push each other out. */
const SLOTS_PER_TOKEN = 4;

/** Which characters a fingerprint is made of, counted from the end: within the signature, whatever the algorithm. */
const FROM_END = 40;
const CHARACTERS = 8;

/**
 * What verified tokens said: the one verified last, and those that came at least twice.
 *
 * Putting a token into a table of thousands costs half of what verifying it does, most of it later, in the
 * garbage collector ("remember a token at its second sight" in docs/performance.md). A token that never comes
 * again should not cost that, nor push out one that does.
 *
 * Which tokens came before is known by fingerprints in a table of fixed size: a hint, never a proof, as tokens
 * can share one. What is found is compared with the whole token. Slots come in pairs of a newer and an older
 * fingerprint, so that it takes two tokens to push one out. Only verified tokens are added. Their signatures
 * look random and cannot be chosen by clients, so eight characters (48 bits) of them are enough; the hash of
 * these is random for each process, so that nobody can know which tokens share a pair.
 */
export class SecondSight<Value> {
  readonly #slots: Int32Array;
  readonly #seed = randomBytes(4).readInt32LE();
  readonly #factor = randomBytes(4).readInt32LE() | 1;
  readonly #remembered: Remembered<Value>;
  #latest: { readonly token: string; readonly value: Value } | undefined;

  /** @param capacity most tokens that are kept, from 1 */
  constructor(capacity: number) {
    const slots = 2 ** Math.ceil(Math.log2(capacity * SLOTS_PER_TOKEN));
    this.#slots = new Int32Array(Math.min(MAX_SLOTS, Math.max(MIN_SLOTS, slots)));
    // One less, as the latest is kept beside.
    this.#remembered = new Remembered(capacity - 1, () => 1);
  }

  /** What a token said when it was verified, if it is still kept. */
  recall(token: string): Value | undefined {
    const value = this.#remembered.get(token);
    if (value !== undefined) return value;
    if (this.#latest?.token !== token) return undefined;
    this.#remembered.remember(token, this.#latest.value);
    return this.#latest.value;
  }

  /** Keeps what a token says that has just been verified. Never called for a refused one. */
  keep(token: string, value: Value): void {
    this.#latest = { token, value };
    if (this.#wasSeenBefore(token)) this.#remembered.remember(token, value);
  }

  forget(token: string): void {
    this.#remembered.forget(token);
    if (this.#latest?.token === token) this.#latest = undefined;
  }

  clear(): void {
    this.#remembered.clear();
    this.#latest = undefined;
  }

  /** Notes a token. @returns whether it was noted before; `false` is right except for tokens that were pushed out */
  #wasSeenBefore(token: string): boolean {
    const fingerprint = this.#fingerprint(token);
    // The pair begins at an even index.
    const pair = fingerprint & (this.#slots.length - 2);
    if (this.#slots[pair] === fingerprint || this.#slots[pair + 1] === fingerprint) return true;
    this.#slots[pair + 1] = this.#slots[pair] ?? 0;
    this.#slots[pair] = fingerprint;
    return false;
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
