/**
 * How much of a text's end it is looked up by. Hashing a whole cookie of 200 characters was 7 to 10 % of what
 * reading a remembered session took, and a SHA-256 of the token the largest part of what a remembered one
 * cost. The end is a signature or an authentication tag, or 132 bits of it, which clients cannot choose; the
 * whole text is compared before anything is given out.
 */
const TAIL_CHARACTERS = 22;

interface Entry<Value> {
  readonly text: string;
  readonly value: Value;
  /** Whether it was asked for since its turn came last. */
  isUsed: boolean;
}

/**
 * What was found out about tokens or cookies that came before, so that the next request with the same one
 * needs no cryptography. Only what verified is put in; whoever asks checks expiry on each hit. Of two texts
 * with one end the newer is kept.
 *
 * Bounded: where there is no room, the entries have their turn in the order of their age. One that was used
 * since its last turn stays until its next, any other is forgotten. A hit moves nothing.
 */
export class Remembered<Value> {
  readonly #room: number;
  readonly #sizeOf: (text: string) => number;
  readonly #entries = new Map<string, Entry<Value>>();
  #used = 0;
  /** Goes on where it stood: asking a Map for its first key costs as much as it has lost. */
  #turns = this.#entries.entries();
  /** How many entries have their turn in this round: not those that come meanwhile. */
  #left = 0;

  /**
   * @param room for how much there is room
   * @param sizeOf how much of it one text takes
   */
  constructor(room: number, sizeOf: (text: string) => number) {
    this.#room = room;
    this.#sizeOf = sizeOf;
  }

  get(text: string): Value | undefined {
    const entry = this.#entries.get(text.slice(-TAIL_CHARACTERS));
    if (entry?.text !== text) return undefined;
    entry.isUsed = true;
    return entry.value;
  }

  /** @param text a string of its own, not a slice that would keep the whole header in memory */
  remember(text: string, value: Value): void {
    const tail = text.slice(-TAIL_CHARACTERS);
    this.#remove(tail);
    const size = this.#sizeOf(text);
    if (size > this.#room) return;
    while (this.#used + size > this.#room) this.#takeTurn();
    this.#entries.set(tail, { text, value, isUsed: false });
    this.#used += size;
  }

  /** Forgets what must not be recalled any more. */
  forget(text: string): void {
    const tail = text.slice(-TAIL_CHARACTERS);
    if (this.#entries.get(tail)?.text === text) this.#remove(tail);
  }

  clear(): void {
    this.#entries.clear();
    this.#used = 0;
  }

  #takeTurn(): void {
    let next = this.#left-- > 0 ? this.#turns.next() : undefined;
    if (next === undefined || next.done === true) {
      this.#turns = this.#entries.entries();
      this.#left = this.#entries.size - 1;
      next = this.#turns.next();
      if (next.done === true) return;
    }
    const [tail, entry] = next.value;
    if (entry.isUsed) entry.isUsed = false;
    else this.#remove(tail);
  }

  #remove(tail: string): void {
    const entry = this.#entries.get(tail);
    if (entry === undefined) return;
    this.#entries.delete(tail);
    this.#used -= this.#sizeOf(entry.text);
  }
}
