/**
 * How much of a token's end it is looked up by: 132 bits of its signature, which look random and cannot be
 * chosen by clients. The whole token is compared before anything is given out. A SHA-256 of the token was the
 * largest part of what a remembered one cost.
 */
const TAIL_CHARACTERS = 22;

/** One remembered token, between the next older and the next newer. */
interface Entry<Value> {
  readonly token: string;
  readonly value: Value;
  older: Entry<Value> | undefined;
  newer: Entry<Value> | undefined;
}

/**
 * What verified tokens said, so that a signature is verified once.
 *
 * The caller stores only what it verified and checks time and revocation again on every hit. Bounded: the
 * entry whose last use is oldest goes first. Of two tokens with one end the newer is kept.
 *
 * The order is a linked list: measured on 10,000 entries, a hit costs a quarter of what moving the
 * key to the end of the Map costs.
 */
export class RememberedTokens<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #capacity: number;
  #oldest: Entry<Value> | undefined;
  #newest: Entry<Value> | undefined;

  /** @param capacity most entries; 0 remembers nothing */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many tokens are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** What a token said, which is thereby used. */
  get(token: string): Value | undefined {
    const entry = this.#entries.get(tailOf(token));
    if (entry?.token !== token) return undefined;
    if (entry !== this.#newest) {
      this.#unlink(entry);
      this.#append(entry);
    }
    return entry.value;
  }

  set(token: string, value: Value): void {
    if (this.#capacity === 0) return;
    this.#remove(this.#entries.get(tailOf(token)));
    if (this.#entries.size >= this.#capacity) this.#remove(this.#oldest);
    const entry: Entry<Value> = { token, value, older: undefined, newer: undefined };
    this.#entries.set(tailOf(token), entry);
    this.#append(entry);
  }

  delete(token: string): void {
    const entry = this.#entries.get(tailOf(token));
    if (entry?.token === token) this.#remove(entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
  }

  #remove(entry: Entry<Value> | undefined): void {
    if (entry === undefined) return;
    this.#entries.delete(tailOf(entry.token));
    this.#unlink(entry);
  }

  #append(entry: Entry<Value>): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry<Value>): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
  }
}

function tailOf(token: string): string {
  return token.slice(-TAIL_CHARACTERS);
}
