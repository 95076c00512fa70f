// fast-check with as many runs as one wants to wait for. `FC_RUNS=1000 npm test` tries ten times as many examples as
// the tests name, others each time; without it they are three tenths, and the same each time.
import fc from "fast-check";

/** What the tests count in: a property that names no number of runs has so many. */
const USUAL = 100;
const wanted = process.env.FC_RUNS === undefined ? undefined : Number(process.env.FC_RUNS);
if (wanted !== undefined && !(wanted > 0)) throw new RangeError(`FC_RUNS must be a number of runs, got "${wanted}"`);
const share = (wanted ?? 30) / USUAL;

/** The option of a property that needs more or fewer runs than the usual 100 to find what it looks for. */
export function runs(number: number): { readonly numRuns: number } {
  return { numRuns: Math.ceil(number * share) };
}

fc.configureGlobal({ ...runs(USUAL), ...(wanted === undefined ? { seed: 1 } : {}) });

export default fc;
