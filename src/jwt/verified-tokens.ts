import { RememberedTokens } from "./remembered-tokens.js";
import { SeenTokens } from "./seen-tokens.js";

/** What the token said that was verified last. */
interface Latest<Value> {
  readonly token: string;
  readonly value: Value;
}

/**
 * What verified tokens said: the one verified last, and those that came at least twice.
 *
 * Putting a token into a table of thousands costs as much as verifying it, most of it later, in the
 * garbage collector. A token that never comes again should not cost that, nor push out one that
 * does. Fingerprints only say whether to look: what is found is compared with the whole token.
 */
export class VerifiedTokens<Value> {
  readonly #seen: SeenTokens;
  readonly #remembered: RememberedTokens<Value>;
  #latest: Latest<Value> | undefined;

  /** @param capacity most tokens that are kept, from 1 */
  constructor(capacity: number) {
    this.#seen = new SeenTokens(capacity);
    // One less, as the latest is kept beside.
    this.#remembered = new RememberedTokens(capacity - 1);
  }

  /** What a token said when it was verified, if it is still kept. */
  recall(token: string): Value | undefined {
    // New and forged tokens end here.
    if (!this.#seen.has(token)) return undefined;
    const value = this.#remembered.get(token);
    if (value !== undefined) return value;
    if (this.#latest?.token !== token) return undefined;
    this.#remembered.set(token, this.#latest.value);
    return this.#latest.value;
  }

  /** Keeps what a token says that has just been verified. Never called for a refused one. */
  keep(token: string, value: Value): void {
    this.#latest = { token, value };
    if (!this.#seen.add(token)) this.#remembered.set(token, value);
  }

  /** Forgets a token that is refused now. */
  forget(token: string): void {
    this.#remembered.delete(token);
    if (this.#latest?.token === token) this.#latest = undefined;
  }

  clear(): void {
    this.#remembered.clear();
    this.#latest = undefined;
  }
}
