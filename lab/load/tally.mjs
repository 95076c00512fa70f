// What became of the requests: in all, by group, and by slices of time.

export class Tally {
  #plan;
  #total = noCounts();
  #groups;
  #latenciesMs = [];
  #slices = [];

  constructor(plan) {
    this.#plan = plan;
    this.#groups = plan.groups.map(noCounts);
    const lengths = plan.groups.map(({ phases }) => phases.reduce((sum, { seconds }) => sum + seconds, 0));
    const slices = Math.ceil(Math.max(...lengths) / plan.sliceSeconds - 1e-9);
    for (let index = 0; index < slices; index++) this.#slices.push({ ...noCounts(), latenciesMs: [] });
  }

  /**
   * An end counts when it came, not when the request was due: while a queue grows, more of the requests of a
   * second are answered in the end than the server answers in a second.
   *
   * @param dueSeconds since the load began
   * @param latencyMs from then to the end
   */
  add(group, dueSeconds, status, latencyMs) {
    const outcome = outcomeOf(status, latencyMs, this.#plan.goodWithinMs);
    const isAnswered = outcome === "good" || outcome === "late";
    const endSeconds = dueSeconds + latencyMs / 1000;
    const slice = this.#sliceAt(endSeconds);
    this.#sliceAt(dueSeconds).offered++;
    slice[outcome]++;
    if (isAnswered) slice.latenciesMs.push(latencyMs);
    const { measureFromSeconds, measureToSeconds = Number.POSITIVE_INFINITY } = this.#plan;
    if (endSeconds < measureFromSeconds || endSeconds >= measureToSeconds) return;
    count(this.#total, outcome);
    count(this.#groups[group], outcome);
    if (isAnswered) this.#latenciesMs.push(latencyMs);
  }

  result() {
    const sorted = this.#latenciesMs.sort((one, other) => one - other);
    const latencyMs = { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), p99: quantile(sorted, 0.99) };
    return {
      counts: this.#total,
      groups: Object.fromEntries(this.#plan.groups.map(({ name }, index) => [name, this.#groups[index]])),
      latencyMs: sorted.length === 0 ? null : latencyMs,
      slices: this.#slices.map(({ late: _, latenciesMs, ...counts }, index) => {
        latenciesMs.sort((one, other) => one - other);
        return { atSeconds: index * this.#plan.sliceSeconds, ...counts, p95Ms: quantile(latenciesMs, 0.95) };
      }),
    };
  }

  /** What ends after the load is over counts in its last slice. */
  #sliceAt(seconds) {
    const index = Math.floor(seconds / this.#plan.sliceSeconds);
    return this.#slices[Math.min(index, this.#slices.length - 1)];
  }
}

function outcomeOf(status, latencyMs, goodWithinMs) {
  if (status === 429 || status === 503) return "refused";
  if (status < 200 || status > 299) return "failed";
  return latencyMs <= goodWithinMs ? "good" : "late";
}

function noCounts() {
  return { offered: 0, good: 0, late: 0, refused: 0, failed: 0 };
}

function count(counts, outcome) {
  counts.offered++;
  counts[outcome]++;
}

/** The smallest value that so large a share does not exceed; `null` without values. */
function quantile(sorted, share) {
  if (sorted.length === 0) return null;
  return Number(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)].toFixed(3));
}
