/** Words in one array: 64 KB. */
const CHUNK_BITS = 14;
const CHUNK_WORDS = 2 ** CHUNK_BITS;
/** The largest block is 2^11 words: room for every slot of a window. */
const SIZE_CLASSES = 12;

/**
 * Small arrays of 32-bit words without an object each: blocks of a power of two, cut from big arrays.
 *
 * A block is known by its handle, a positive number. The first word of a block that is free holds the
 * handle of the next free one of its size.
 */
export class BlockPool {
  readonly #chunks: Int32Array[] = [];
  readonly #free = new Int32Array(SIZE_CLASSES);
  /** Where the unused rest of the last chunk begins; handle 0 is never given out. */
  #next = 0;
  #end = 0;

  get byteLength(): number {
    return this.#chunks.length * CHUNK_WORDS * 4;
  }

  /** The array that a block lies in, from `offset(handle)` on. */
  chunk(handle: number): Int32Array {
    const chunk = this.#chunks[handle >>> CHUNK_BITS];
    if (chunk === undefined) throw new RangeError("no such block");
    return chunk;
  }

  offset(handle: number): number {
    return handle & (CHUNK_WORDS - 1);
  }

  /** A block of 2^sizeClass words, with what its last user left in it. */
  allocate(sizeClass: number): number {
    const reused = this.#free[sizeClass] ?? 0;
    if (reused !== 0) {
      this.#free[sizeClass] = this.chunk(reused)[this.offset(reused)] ?? 0;
      return reused;
    }
    const size = 2 ** sizeClass;
    if (this.#end - this.#next < size) this.#addChunk();
    const handle = this.#next;
    this.#next += size;
    return handle;
  }

  release(handle: number, sizeClass: number): void {
    this.chunk(handle)[this.offset(handle)] = this.#free[sizeClass] ?? 0;
    this.#free[sizeClass] = handle;
  }

  #addChunk(): void {
    this.#freeRest();
    const isFirst = this.#chunks.length === 0;
    this.#next = this.#chunks.length * CHUNK_WORDS + (isFirst ? 2 : 0);
    this.#chunks.push(new Int32Array(CHUNK_WORDS));
    this.#end = this.#chunks.length * CHUNK_WORDS;
  }

  /** What is left of a chunk serves smaller blocks. */
  #freeRest(): void {
    for (let sizeClass = SIZE_CLASSES - 1; sizeClass >= 1; sizeClass--) {
      while (this.#end - this.#next >= 2 ** sizeClass) {
        this.release(this.#next, sizeClass);
        this.#next += 2 ** sizeClass;
      }
    }
  }
}
