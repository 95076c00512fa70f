// A limit of requests in flight after the Gradient2 limit of Netflix's concurrency-limits, written anew for
// comparison: the limit shrinks when the short average of latencies leaves the long one behind.
// https://github.com/Netflix/concurrency-limits

const SHORT_SAMPLES = 10;
const LONG_SAMPLES = 600;
const WARM_UP_SAMPLES = 10;

export class GradientLimit {
  #options;
  #short = new ExponentialAverage(SHORT_SAMPLES);
  #long = new ExponentialAverage(LONG_SAMPLES);
  #limit;
  #inFlight = 0;

  constructor(options = {}) {
    this.#options = { initial: 20, min: 1, max: 200, tolerance: 1.5, queue: 4, smoothing: 0.2, ...options };
    this.#limit = this.#options.initial;
  }

  get limit() {
    return this.#limit;
  }

  enter() {
    if (this.#inFlight >= Math.floor(this.#limit)) return false;
    this.#inFlight++;
    return true;
  }

  leave(latencyMs) {
    this.#update(latencyMs, this.#inFlight);
    this.#inFlight--;
  }

  #update(latencyMs, inFlight) {
    const { min, max, tolerance, queue, smoothing } = this.#options;
    const short = this.#short.add(latencyMs);
    let long = this.#long.add(latencyMs);
    // After a slow time the long average comes down faster than by itself.
    if (long / short > 2) long = this.#long.scale(0.95);
    // A limit that is not half used says nothing about whether it is too high.
    if (inFlight < this.#limit / 2) return;
    const gradient = Math.max(0.5, Math.min(1, (tolerance * long) / short));
    const wanted = this.#limit * gradient + queue;
    this.#limit = Math.max(min, Math.min(max, this.#limit * (1 - smoothing) + wanted * smoothing));
  }
}

/** A plain mean of the first samples, so that the very first one does not weigh for long, then exponential. */
class ExponentialAverage {
  #weight;
  #count = 0;
  #sum = 0;
  #value = 0;

  constructor(samples) {
    this.#weight = 2 / (samples + 1);
  }

  add(sample) {
    if (this.#count < WARM_UP_SAMPLES) {
      this.#count++;
      this.#sum += sample;
      this.#value = this.#sum / this.#count;
    } else {
      this.#value += (sample - this.#value) * this.#weight;
    }
    return this.#value;
  }

  scale(factor) {
    this.#value *= factor;
    return this.#value;
  }
}
