// When requests fall due: a Poisson process whose rate changes from phase to phase.

export class PoissonArrivals {
  #phases;
  #random;
  #phase = 0;
  #phaseEnds;
  #at = 0;

  constructor(phases, random) {
    this.#phases = phases;
    this.#random = random;
    this.#phaseEnds = phases[0]?.seconds ?? 0;
  }

  next() {
    // The next arrival is where the area under the rate has grown by an exponential variate; across the end
    // of a phase what is left of it is spent at the next phase's rate.
    let area = -Math.log(1 - this.#random());
    while (this.#phase < this.#phases.length) {
      const { rate } = this.#phases[this.#phase];
      const left = (this.#phaseEnds - this.#at) * rate;
      if (area < left) {
        this.#at += area / rate;
        return this.#at;
      }
      area -= left;
      this.#at = this.#phaseEnds;
      this.#phase++;
      this.#phaseEnds += this.#phases[this.#phase]?.seconds ?? 0;
    }
    return undefined;
  }
}
