/**
 * Removes what has expired from a table, a few entries with each new one: so that no single call
 * pays for all, and none is looked for that is not there.
 */
export class Sweep {
  readonly #entries: Map<string, number>;
  #rest: Iterator<[string, number]> | undefined;

  constructor(entries: Map<string, number>) {
    this.#entries = entries;
  }

  /** Looks at the next `steps` entries and removes those whose number is not above `limit`. */
  step(limit: number, steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.#rest ??= this.#entries.entries();
      const next = this.#rest.next();
      if (next.done === true) {
        this.#rest = undefined;
        return;
      }
      const [key, number] = next.value;
      if (number <= limit) this.#entries.delete(key);
    }
  }
}
