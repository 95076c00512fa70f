/**
 * Sums of the last while, in slices of equal length of which the oldest is emptied as time goes on. A slice
 * holds `columns` sums.
 */
export class Slices {
  /** Slice after slice, in no order of time. */
  readonly sums: Float64Array;
  readonly #slices: number;
  readonly #sliceMs: number;
  readonly #columns: number;
  /** The newest slice, counted from the origin of the clock. */
  #newest: number;

  /** @param nowMs the monotonic clock */
  constructor(nowMs: number, { slices, sliceMs, columns }: { slices: number; sliceMs: number; columns: number }) {
    this.sums = new Float64Array(slices * columns);
    this.#slices = slices;
    this.#sliceMs = sliceMs;
    this.#columns = columns;
    this.#newest = Math.floor(nowMs / sliceMs);
  }

  add(column: number, amount: number, nowMs: number): void {
    this.advance(nowMs);
    const index = (this.#newest % this.#slices) * this.#columns + column;
    this.sums[index] = (this.sums[index] ?? 0) + amount;
  }

  total(column: number, nowMs: number): number {
    this.advance(nowMs);
    let total = 0;
    for (let index = column; index < this.sums.length; index += this.#columns) total += this.sums[index] ?? 0;
    return total;
  }

  /** Empties the slices whose time has passed. A time before the newest slice empties none. */
  advance(nowMs: number): void {
    const slice = Math.floor(nowMs / this.#sliceMs);
    if (slice <= this.#newest) return;
    const passed = Math.min(this.#slices, slice - this.#newest);
    for (let step = 1; step <= passed; step++) {
      const start = ((this.#newest + step) % this.#slices) * this.#columns;
      this.sums.fill(0, start, start + this.#columns);
    }
    this.#newest = slice;
  }
}
