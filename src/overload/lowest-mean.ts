import { Slices } from "./slices.js";

const SPAN_MS = 10_000;
/** A mean of fewer answers is chance: the lowest of many such would be far too low. */
const ENOUGH_ANSWERS = 20;
/** What is summed in each second: milliseconds of latency, and answers. */
const LATENCY = 0;
const ANSWERS = 1;

/**
 * The lowest of the mean latencies of the last ten seconds.
 *
 * Means of whole seconds and not of single requests: where latencies differ by themselves, the lowest
 * of them says nothing about waiting.
 */
export class LowestMean {
  readonly #seconds: Slices;
  #probeMs = Number.POSITIVE_INFINITY;
  #probedAtMs = 0;

  /** @param nowMs the monotonic clock */
  constructor(nowMs: number) {
    this.#seconds = new Slices(nowMs, { slices: SPAN_MS / 1000, sliceMs: 1000, columns: 2 });
  }

  /** Milliseconds; infinite as long as nothing is known. */
  get valueMs(): number {
    const { sums } = this.#seconds;
    let least = this.#probeMs;
    let sumMs = 0;
    let count = 0;
    for (let second = 0; second < sums.length; second += 2) {
      const secondMs = sums[second + LATENCY] ?? 0;
      const answers = sums[second + ANSWERS] ?? 0;
      sumMs += secondMs;
      count += answers;
      if (answers >= ENOUGH_ANSWERS) least = Math.min(least, secondMs / answers);
    }
    // Fewer than that in every second: the mean of them all is the best there is.
    return Number.isFinite(least) || count === 0 ? least : sumMs / count;
  }

  add(meanMs: number, answered: number, nowMs: number): void {
    this.#seconds.add(LATENCY, meanMs * answered, nowMs);
    this.#seconds.add(ANSWERS, answered, nowMs);
    if (nowMs - this.#probedAtMs > SPAN_MS) this.#probeMs = Number.POSITIVE_INFINITY;
  }

  /** A mean that was measured on purpose with fewer requests in progress. */
  addProbe(meanMs: number, nowMs: number): void {
    this.#seconds.advance(nowMs);
    this.#probeMs = meanMs;
    this.#probedAtMs = nowMs;
  }

  /** What was lower before does not hold any more. */
  raiseTo(meanMs: number, nowMs: number): void {
    if (this.valueMs >= meanMs) return;
    this.#seconds.sums.fill(0);
    this.addProbe(meanMs, nowMs);
  }
}
