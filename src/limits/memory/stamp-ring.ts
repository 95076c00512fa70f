import { BlockPool } from "./block-pool.js";

/** A block's first word: place of the oldest entry, number of entries, size of the block. */
const FIELD_BITS = 11;
const FIELD_MASK = 2 ** FIELD_BITS - 1;
/** A block of 2^2 words has room for three entries of one word or one of two. */
const SMALLEST_CLASS = 2;

/**
 * The stamps of one key at a time, oldest first, in a ring that grows and shrinks with their number.
 *
 * `open` loads a key's ring, the methods work on it, `close` writes it back and says where it is. An
 * entry is one word, the stamp, or two, the stamp and a weight. Stamps are ticks modulo 2^32.
 *
 * Most keys of a limit have one stamp, which the caller knows anyway from the time at which the key is
 * full again. Such a ring takes no memory at all: its handle is 0.
 */
export class StampRing {
  readonly #pool = new BlockPool();
  /** 0 when there is at most one stamp, in the two fields that follow. */
  #handle = 0;
  #onlyStamp = 0;
  #onlyWeight = 0;
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

  /**
   * Loads a ring.
   *
   * @param handle what `close` returned
   * @param stamp the newest stamp
   * @param weight that of all entries together
   */
  open(handle: number, stamp: number, weight: number): void {
    if (handle === 0) {
      this.#setOnly(stamp, weight);
      return;
    }
    const chunk = this.#pool.chunk(handle);
    const header = chunk[this.#pool.offset(handle)] ?? 0;
    this.#use(handle, header >>> (2 * FIELD_BITS));
    this.#head = header & FIELD_MASK;
    this.count = (header >>> FIELD_BITS) & FIELD_MASK;
  }

  /** Begins an empty ring. */
  create(): void {
    this.#handle = 0;
    this.count = 0;
  }

  /** Writes the ring's state back and returns its handle, which may have changed. */
  close(): number {
    if (this.#handle === 0) return 0;
    if (this.count <= 1) {
      this.#pool.release(this.#handle, this.#sizeClass);
      return 0;
    }
    if (this.count * 4 <= this.#capacity && this.#sizeClass > SMALLEST_CLASS) this.#resize(this.#sizeClass - 1);
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
    return this.#handle === 0 ? this.#onlyStamp : (this.#chunk[this.#wordOf(place)] ?? 0);
  }

  weightAt(place: number): number {
    if (this.#handle === 0) return this.#onlyWeight;
    return this.wordsPerEntry === 1 ? 1 : (this.#chunk[this.#wordOf(place) + 1] ?? 0);
  }

  /** Changes the weight of the newest entry; not of one that has no weight of its own. */
  setNewestWeight(weight: number): void {
    if (this.#handle === 0) this.#onlyWeight = weight;
    else this.#chunk[this.#wordOf(this.count - 1) + 1] = weight;
  }

  /** Moves the stamp of the newest entry, and changes its weight. */
  moveNewest(stamp: number, weight: number): void {
    if (this.#handle === 0) this.#onlyStamp = stamp;
    else this.#chunk[this.#wordOf(this.count - 1)] = stamp;
    this.setNewestWeight(weight);
  }

  /** Adds `weight` units with one stamp. */
  push(stamp: number, weight: number): void {
    if (this.#handle === 0) {
      if (this.count === 0) {
        this.#setOnly(stamp, weight);
        return;
      }
      if (stamp === this.#onlyStamp) {
        this.#onlyWeight += weight;
        return;
      }
      this.#moveIntoBlock();
    }
    this.#append(stamp, weight);
  }

  dropOldest(): void {
    if (this.#handle !== 0) this.#head = this.#head + 1 === this.#capacity ? 0 : this.#head + 1;
    this.count--;
  }

  dropNewest(): void {
    this.count--;
  }

  #setOnly(stamp: number, weight: number): void {
    this.#handle = 0;
    this.#onlyStamp = stamp;
    this.#onlyWeight = weight;
    this.count = 1;
  }

  #append(stamp: number, weight: number): void {
    const { wordsPerEntry } = this;
    const entries = wordsPerEntry === 1 ? weight : 1;
    for (let entry = 0; entry < entries; entry++) {
      if (this.count === this.#capacity) this.#resize(this.#sizeClass + 1);
      const word = this.#wordOf(this.count++);
      this.#chunk[word] = stamp;
      if (wordsPerEntry === 2) this.#chunk[word + 1] = weight;
    }
  }

  #moveIntoBlock(): void {
    // Another stamp follows at once, for which a block of one entry would be too small.
    const sizeClass = SMALLEST_CLASS + this.wordsPerEntry - 1;
    this.#use(this.#pool.allocate(sizeClass), sizeClass);
    this.#head = 0;
    this.count = 0;
    this.#append(this.#onlyStamp, this.#onlyWeight);
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
