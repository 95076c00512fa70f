// A dependency that serves a fixed number of requests at a time, and makes the others wait in line.

export class DependencyPool {
  #free;
  #minMs;
  #maxMs;
  #random;
  #line = [];
  #served = 0;

  constructor({ workers, minMs, maxMs, random }) {
    this.#free = workers;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  async call() {
    if (this.#free === 0) await new Promise((resolve) => this.#line.push(resolve));
    else this.#free--;
    const tookMs = this.#minMs + this.#random() * (this.#maxMs - this.#minMs);
    await new Promise((resolve) => setTimeout(resolve, tookMs));
    this.#handOn();
    return tookMs;
  }

  /** The worker goes to the first in line, or becomes free. */
  #handOn() {
    if (this.#served === this.#line.length) {
      this.#line = [];
      this.#served = 0;
      this.#free++;
      return;
    }
    this.#line[this.#served++]();
  }
}
