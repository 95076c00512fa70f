/** The lowest mean of so many seconds counts. */
const SECONDS = 10;
const SLOT_MS = 1000;
/** A mean of fewer answers is chance: the lowest of many such would be far too low. */
const ENOUGH_ANSWERS = 20;

/**
 * The lowest of the mean latencies of the last ten seconds.
 *
 * Means of whole seconds and not of single requests: where latencies differ by themselves, the lowest
 * of them says nothing about waiting.
 */
export class LowestMean {
  readonly #sumsMs = new Float64Array(SECONDS);
  readonly #counts = new Uint32Array(SECONDS);
  #slot: number;
  #probeMs = Number.POSITIVE_INFINITY;
  #probedAtMs = 0;

  /** @param nowMs the monotonic clock */
  constructor(nowMs: number) {
    this.#slot = Math.floor(nowMs / SLOT_MS);
  }

  /** Milliseconds; infinite as long as nothing is known. */
  get valueMs(): number {
    let least = this.#probeMs;
    let sumMs = 0;
    let count = 0;
    for (let slot = 0; slot < SECONDS; slot++) {
      const slotSumMs = this.#sumsMs[slot] ?? 0;
      const slotCount = this.#counts[slot] ?? 0;
      sumMs += slotSumMs;
      count += slotCount;
      if (slotCount >= ENOUGH_ANSWERS) least = Math.min(least, slotSumMs / slotCount);
    }
    // Fewer than that in every second: the mean of them all is the best there is.
    return Number.isFinite(least) || count === 0 ? least : sumMs / count;
  }

  /** So many answers with this mean. */
  add(meanMs: number, answered: number, nowMs: number): void {
    this.#advance(nowMs);
    const index = this.#slot % SECONDS;
    this.#sumsMs[index] = (this.#sumsMs[index] ?? 0) + meanMs * answered;
    this.#counts[index] = (this.#counts[index] ?? 0) + answered;
  }

  /** A mean that was measured on purpose with fewer requests in progress. */
  addProbe(meanMs: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#probeMs = meanMs;
    this.#probedAtMs = nowMs;
  }

  /** What was lower before does not hold any more. */
  raiseTo(meanMs: number, nowMs: number): void {
    if (this.valueMs >= meanMs) return;
    this.#sumsMs.fill(0);
    this.#counts.fill(0);
    this.addProbe(meanMs, nowMs);
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS);
    const passed = Math.min(SECONDS, Math.max(0, slot - this.#slot));
    for (let step = 1; step <= passed; step++) {
      this.#sumsMs[(this.#slot + step) % SECONDS] = 0;
      this.#counts[(this.#slot + step) % SECONDS] = 0;
    }
    this.#slot = Math.max(slot, this.#slot);
    if (nowMs - this.#probedAtMs > SECONDS * SLOT_MS) this.#probeMs = Number.POSITIVE_INFINITY;
  }
}
