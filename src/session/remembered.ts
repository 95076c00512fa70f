/**
 * What was found out about cookies that came before, so that the next request with the same cookie
 * needs no cryptography. Only what verified is put in; whoever asks checks expiry on each hit.
 *
 * Bounded by the characters of its keys, in two generations: when the young one is full it becomes
 * the old one, and the former old one is forgotten. What is used again moves to the young one.
 */
export class RememberedCookies<Opened extends object> {
  readonly #charactersPerGeneration: number;
  #young = new Map<string, Opened>();
  #old = new Map<string, Opened>();
  #youngCharacters = 0;

  /** @param maxCharacters bound on the length of all remembered cookie values together */
  constructor(maxCharacters = 4_000_000) {
    this.#charactersPerGeneration = maxCharacters / 2;
  }

  get(cookie: string): Opened | undefined {
    const young = this.#young.get(cookie);
    if (young !== undefined) return young;
    const old = this.#old.get(cookie);
    if (old !== undefined) this.remember(cookie, old);
    return old;
  }

  /** @param cookie a string of its own, not a slice that would keep the whole header in memory */
  remember(cookie: string, opened: Opened): void {
    if (this.#youngCharacters + cookie.length > this.#charactersPerGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCharacters = 0;
    }
    this.#young.set(cookie, opened);
    this.#youngCharacters += cookie.length;
  }
}
