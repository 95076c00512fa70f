import type { Attributes } from "@opentelemetry/api";

interface Entry {
  readonly attributes: Attributes;
  count: number;
}

/**
 * Counts by attributes, to be read when metrics are collected. Counting here is many times cheaper than
 * a counter of the SDK, which sorts and serialises the attributes of every single count: a flood of
 * refusals must not become dearer by being measured.
 */
export class Tally {
  readonly #entries = new Map<string, Entry>();
  readonly #common: Attributes;

  /** @param common attributes that every count has */
  constructor(common: Attributes) {
    this.#common = common;
  }

  /** Counts one. The attributes of all calls have the same names in the same order. */
  add(attributes: Attributes): void {
    let key = "";
    for (const name in attributes) key += `${attributes[name]}\n`;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.count++;
    else this.#entries.set(key, { attributes: { ...attributes, ...this.#common }, count: 1 });
  }

  /** Each combination of attributes that was counted, with its count since the beginning. */
  values(): Iterable<{ readonly attributes: Attributes; readonly count: number }> {
    return this.#entries.values();
  }
}
