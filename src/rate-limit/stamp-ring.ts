import { BlockPool } from "./block-pool.js";

/** A block's first word: place of the oldest entry, number of entries, size of the block. */
const FIELD_BITS = 11;
const FIELD_MASK = 2 ** FIELD_BITS - 1;
const SMALLEST_CLASS = 1;

/**
 * The stamps of one key at a time, oldest first, in a ring that grows and shrinks with their number.
 *
 * `open` loads a key's ring, the methods work on it, `close` writes it back and says where it is. An
 * entry is one word, the stamp, or two, the stamp and a weight. Stamps are ticks modulo 2^32.
 */
export class StampRing {
  readonly #pool = new BlockPool();
  #handle = 0;
  #sizeClass = SMALLEST_CLASS;
  #chunk: Int32Array = new Int32Array(0);
  /** Where the entries begin in the chunk. */
  #base = 0;
  #head = 0;
  #capacity = 0;
  /** Entries in the ring. */
  count = 0;

  /** @param wordsPerEntry 2 when entries have weights */
  constructor(readonly wordsPerEntry: 1 | 2) {}

  get byteLength(): number {
    return this.#pool.byteLength;
  }

  /** Loads a ring. */
  open(handle: number): void {
    const chunk = this.#pool.chunk(handle);
    const header = chunk[this.#pool.offset(handle)] ?? 0;
    this.#use(handle, header >>> (2 * FIELD_BITS));
    this.#head = header & FIELD_MASK;
    this.count = (header >>> FIELD_BITS) & FIELD_MASK;
  }

  /** Begins an empty ring. */
  create(): void {
    const sizeClass = this.wordsPerEntry === 1 ? SMALLEST_CLASS : SMALLEST_CLASS + 1;
    this.#use(this.#pool.allocate(sizeClass), sizeClass);
    this.#head = 0;
    this.count = 0;
  }

  /** Writes the ring's state back and returns its handle, which may have changed. */
  close(): number {
    if (this.count * 4 <= this.#capacity && this.#sizeClass > SMALLEST_CLASS + 1) this.#resize(this.#sizeClass - 1);
    this.#chunk[this.#base - 1] = this.#head | (this.count << FIELD_BITS) | (this.#sizeClass << (2 * FIELD_BITS));
    return this.#handle;
  }

  /** Gives a ring's memory back. */
  free(handle: number): void {
    if (handle === 0) return;
    const header = this.#pool.chunk(handle)[this.#pool.offset(handle)] ?? 0;
    this.#pool.release(handle, header >>> (2 * FIELD_BITS));
  }

  /** @param place 0 is the oldest entry */
  stampAt(place: number): number {
    return this.#chunk[this.#wordOf(place)] ?? 0;
  }

  weightAt(place: number): number {
    return this.wordsPerEntry === 1 ? 1 : (this.#chunk[this.#wordOf(place) + 1] ?? 0);
  }

  setWeight(place: number, weight: number): void {
    this.#chunk[this.#wordOf(place) + 1] = weight;
  }

  push(stamp: number, weight: number): void {
    if (this.count === this.#capacity) this.#resize(this.#sizeClass + 1);
    const word = this.#wordOf(this.count++);
    this.#chunk[word] = stamp;
    if (this.wordsPerEntry === 2) this.#chunk[word + 1] = weight;
  }

  dropOldest(): void {
    this.#head = this.#head + 1 === this.#capacity ? 0 : this.#head + 1;
    this.count--;
  }

  dropNewest(): void {
    this.count--;
  }

  #use(handle: number, sizeClass: number): void {
    this.#handle = handle;
    this.#sizeClass = sizeClass;
    this.#chunk = this.#pool.chunk(handle);
    this.#base = this.#pool.offset(handle) + 1;
    this.#capacity = this.wordsPerEntry === 1 ? (1 << sizeClass) - 1 : ((1 << sizeClass) - 1) >> 1;
  }

  #wordOf(place: number): number {
    let entry = this.#head + place;
    if (entry >= this.#capacity) entry -= this.#capacity;
    return this.#base + entry * this.wordsPerEntry;
  }

  #resize(sizeClass: number): void {
    const { count } = this;
    const from = this.#chunk;
    const firstWord = this.#wordOf(0);
    const wordsToEnd = Math.min(count, this.#capacity - this.#head) * this.wordsPerEntry;
    const wordsBefore = count * this.wordsPerEntry - wordsToEnd;
    const [oldHandle, oldClass, oldBase] = [this.#handle, this.#sizeClass, this.#base];
    this.#use(this.#pool.allocate(sizeClass), sizeClass);
    this.#chunk.set(from.subarray(firstWord, firstWord + wordsToEnd), this.#base);
    this.#chunk.set(from.subarray(oldBase, oldBase + wordsBefore), this.#base + wordsToEnd);
    this.#head = 0;
    this.#pool.release(oldHandle, oldClass);
  }
}
