import { LowestMean } from "./lowest-mean.js";

/** What happened since the limit was last looked at. */
export interface ConcurrencySample {
  readonly nowMs: number;
  /** Mean latency of the requests that were answered, in milliseconds; NaN when none was. */
  readonly latencyMs: number;
  readonly answered: number;
  /** The most requests that were in progress at a time. */
  readonly peak: number;
  /** Whether requests were refused for want of a place. */
  readonly isBinding: boolean;
  /** Milliseconds that a turn of the event loop spends on refusing: they are in every latency. */
  readonly refusingMs: number;
}

/** Where the search begins, and where it returns to after an overload: more than a busy process has to do usually. */
const INITIAL_LIMIT = 20;
const LEAST = 1;
const MOST = 10_000;
/** With so few places there is no queue of ours: the latency that is measured then is that without one. */
const UNQUEUED_AT = 2;

/** Latency may grow to so much of what it is without a queue. */
const TOLERANCE = 1.5;
/** So much waiting is always tolerated, in milliseconds (CoDel tolerates 5, in a network). */
const TOLERATED_WAIT_MS = 20;
/** The most that one step takes away, and adds; and adds until the first queue is met. */
const LEAST_STEP = 0.5;
const MOST_STEP = 1.5;
const FIRST_STEP = 2;
/** How much of a step is taken: single samples are few requests. */
const SMOOTHING = 0.5;
/** Latency says nothing against a limit of which less than this share was used. */
const USED_SHARE = 0.5;
/** Towards the initial limit, while nothing is shed. */
const RETURN_STEP = 1.1;
const CALM_MS = 1000;
/** Answers of a sample that say something about a mean. */
const ENOUGH_ANSWERS = 3;
/** A probe lasts until a whole sample was taken under it. */
const PROBE_SAMPLES = 2;
const PROBE_SHARE = 0.5;
/** Probes are so far apart; the next one comes soon while each finds a latency that is much lower. */
const PROBE_EVERY_MS = 8000;
const PROBE_SOON_MS = 1000;
const MUCH_LOWER = 0.8;

/**
 * Finds how many requests a server should have in progress at once, from their latencies.
 *
 * By Little's law requests in progress are rate times latency. Up to some number more of them mean more
 * answers a second; beyond, each one only waits longer. The search keeps latency near what it is
 * without a queue: `limit x reference / latency`, as gradient limiters do, where the reference is the
 * lowest latency of the last ten seconds, with some tolerance. The lowest would creep up as long as the
 * overload lasts; so every few seconds the limit is halved for a moment to measure it anew (the way of
 * BBR). And where few places are left, the latency is not ours to lower any more: then it is the
 * reference, or a dependency that has become slow would keep the limit down.
 */
export class ConcurrencyLimit {
  #limit = INITIAL_LIMIT;
  readonly #unqueued: LowestMean;
  #hasMetQueue = false;
  #boundAtMs = Number.NEGATIVE_INFINITY;
  #probeSamples = 0;
  #probedAtMs: number;
  #probeEveryMs = PROBE_SOON_MS;
  #beforeProbeMs = Number.POSITIVE_INFINITY;

  /** @param nowMs the monotonic clock */
  constructor(nowMs: number) {
    this.#unqueued = new LowestMean(nowMs);
    this.#probedAtMs = nowMs;
  }

  /** Requests in progress that are let in at present; no whole number, so that small steps add up. */
  get limit(): number {
    return this.#probeSamples > 0 ? Math.max(LEAST, this.#limit * PROBE_SHARE) : this.#limit;
  }

  step(sample: ConcurrencySample): void {
    const { nowMs, latencyMs, answered, isBinding } = sample;
    if (isBinding) this.#boundAtMs = nowMs;
    const isKnown = Number.isFinite(latencyMs);
    if (this.#probeSamples > 0) {
      // What is answered in the first sample was still let in before the probe.
      if (isKnown && --this.#probeSamples === 0) this.#endProbe(latencyMs, nowMs);
      return;
    }
    if (isKnown) {
      // A sample is measured by those before it, never by itself.
      this.#follow(sample);
      this.#unqueued.add(latencyMs, answered, nowMs);
    }
    this.#returnWhenCalm(nowMs);
    this.#probeWhenDue(nowMs, isBinding);
  }

  #follow({ nowMs, latencyMs, answered, peak, isBinding, refusingMs }: ConcurrencySample): void {
    if (this.#limit <= UNQUEUED_AT && answered >= ENOUGH_ANSWERS) this.#unqueued.raiseTo(latencyMs, nowMs);
    const unqueuedMs = this.#unqueued.valueMs;
    if (!Number.isFinite(unqueuedMs)) return;
    const reference = Math.max(unqueuedMs * TOLERANCE, unqueuedMs + TOLERATED_WAIT_MS) + Math.max(0, refusingMs);
    const ratio = reference / Math.max(latencyMs, Number.MIN_VALUE);
    if (ratio < 1 && peak >= this.#limit * USED_SHARE) {
      this.#hasMetQueue = true;
      this.#moveTo(this.#limit * Math.max(LEAST_STEP, ratio), SMOOTHING);
    } else if (ratio >= 1 && isBinding) {
      if (this.#hasMetQueue)
        this.#moveTo(Math.max(this.#limit * Math.min(MOST_STEP, ratio), this.#limit + 1), SMOOTHING);
      else this.#moveTo(this.#limit * FIRST_STEP, 1);
    }
  }

  #moveTo(target: number, share: number): void {
    this.#limit = Math.min(MOST, Math.max(LEAST, this.#limit + (target - this.#limit) * share));
  }

  /** A limit that an overload has left low would refuse the first harmless burst afterwards. */
  #returnWhenCalm(nowMs: number): void {
    if (this.#limit >= INITIAL_LIMIT || nowMs - this.#boundAtMs < CALM_MS) return;
    this.#limit = Math.min(INITIAL_LIMIT, this.#limit * RETURN_STEP);
  }

  #probeWhenDue(nowMs: number, isBinding: boolean): void {
    if (!isBinding) {
      // Without a queue every sample measures what a probe would measure.
      if (nowMs - this.#boundAtMs >= CALM_MS) this.#probedAtMs = nowMs;
      return;
    }
    if (nowMs - this.#probedAtMs < this.#probeEveryMs) return;
    this.#probedAtMs = nowMs;
    this.#probeSamples = PROBE_SAMPLES;
    this.#beforeProbeMs = this.#unqueued.valueMs;
  }

  #endProbe(latencyMs: number, nowMs: number): void {
    this.#unqueued.addProbe(latencyMs, nowMs);
    const isMuchLower = this.#unqueued.valueMs < this.#beforeProbeMs * MUCH_LOWER;
    this.#probeEveryMs = isMuchLower ? PROBE_SOON_MS : PROBE_EVERY_MS;
  }
}
