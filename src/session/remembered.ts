/**
 * How much of a cookie's end it is looked up by. Hashing a whole value of 200 characters was 7 to
 * 10 % of what reading a remembered session took. The end is the authentication tag, or 132 bits of it, so
 * two that were made here do not meet; the whole value is compared before anything is given out.
 */
const TAIL_CHARACTERS = 22;

interface Entry<Opened> {
  readonly cookie: string;
  readonly opened: Opened;
}

/**
 * What was found out about cookies that came before, so that the next request with the same cookie
 * needs no cryptography. Only what verified is put in; whoever asks checks expiry on each hit.
 *
 * Bounded by the characters of its keys, in two generations: when the young one is full it becomes
 * the old one, and the former old one is forgotten. What is used again moves to the young one.
 */
export class RememberedCookies<Opened extends object> {
  readonly #charactersPerGeneration: number;
  #young = new Map<string, Entry<Opened>>();
  #old = new Map<string, Entry<Opened>>();
  #youngCharacters = 0;

  /** @param maxCharacters bound on the length of all remembered cookie values together */
  constructor(maxCharacters = 4_000_000) {
    this.#charactersPerGeneration = maxCharacters / 2;
  }

  get(cookie: string): Opened | undefined {
    const tail = cookie.slice(-TAIL_CHARACTERS);
    const young = this.#young.get(tail);
    if (young?.cookie === cookie) return young.opened;
    const old = this.#old.get(tail);
    if (old?.cookie !== cookie) return undefined;
    // By its own end: the one at hand is a slice that would keep the whole header in memory.
    this.#put(old);
    return old.opened;
  }

  /** @param cookie a string of its own, not a slice that would keep the whole header in memory */
  remember(cookie: string, opened: Opened): void {
    this.#put({ cookie, opened });
  }

  #put(entry: Entry<Opened>): void {
    if (this.#youngCharacters + entry.cookie.length > this.#charactersPerGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCharacters = 0;
    }
    this.#young.set(entry.cookie.slice(-TAIL_CHARACTERS), entry);
    this.#youngCharacters += entry.cookie.length;
  }
}
