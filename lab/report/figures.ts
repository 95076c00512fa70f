import type { Baseline, LabRun, ProtectionName, Trial, TrialResult } from "../result.js";

/** One figure that the lab is for. */
export interface Figure {
  readonly title: string;
  readonly wanted: string;
  readonly got: string;
  /** `undefined` when it was not measured. */
  readonly isMet: boolean | undefined;
}

/** Protections that are not ours; the static token bucket is ours, but what everybody has. */
const OTHERS: readonly ProtectionName[] = ["none", "token-bucket", "under-pressure", "toobusy", "gradient"];
const CELLO: readonly ProtectionName[] = ["cello-adaptive", "cello-shedding"];
const NAMES: Readonly<Record<ProtectionName, string>> = {
  none: "none",
  "token-bucket": "static token bucket",
  "cello-adaptive": "Cello adaptive",
  "cello-shedding": "Cello adaptive, shedding",
  "under-pressure": "@fastify/under-pressure",
  toobusy: "toobusy-js",
  gradient: "gradient limiter",
};

/** A protection as a reader knows it. */
export function titleOf(protection: ProtectionName): string {
  return NAMES[protection];
}

/** The trial of a run that has these properties. */
export function findTrial(run: LabRun, wanted: Partial<Trial>): TrialResult | undefined {
  return run.trials.find((trial) =>
    Object.entries(wanted).every(([field, value]) => Reflect.get(trial, field) === value),
  );
}

export function baselineOf(run: LabRun, work: Trial["work"]): Baseline | undefined {
  return run.baselines.find((baseline) => baseline.work === work);
}

/** Good answers per second. */
export function goodPerSecond(trial: TrialResult | undefined): number | undefined {
  return trial && trial.counts.good / trial.measuredSeconds;
}

/** Every figure, measured or not. */
export function figuresOf(run: LabRun): readonly Figure[] {
  return [
    ...CELLO.map((name) => keepsServing(run, name, 50, 0.85)),
    keepsServing(run, "cello-shedding", 1000, 0.8),
    againstOthers(run, CELLO, 50),
    againstOthers(run, ["cello-shedding"], 1000),
    ...CELLO.map((name) => tailLatency(run, name)),
    ...CELLO.map((name) => politeness(run, name)),
    ...CELLO.map((name) => recovery(run, name)),
    ...CELLO.map((name) => refusedAtHalf(run, name)),
    cost("Cello adaptive", run.normalLoad.adaptive, run),
    cost("Cello adaptive, shedding", run.normalLoad.shedding, run),
  ];
}

function steady(run: LabRun, protection: ProtectionName, clients: number, load: number): TrialResult | undefined {
  return findTrial(run, { work: "cpu", shape: "steady", protection, clients, load });
}

function keepsServing(run: LabRun, protection: ProtectionName, clients: number, wanted: number): Figure {
  const title = `good answers at 10 x against those at 1 x, ${clients} clients: ${titleOf(protection)}`;
  const many = goodPerSecond(steady(run, protection, clients, 10));
  const one = goodPerSecond(steady(run, protection, clients, 1));
  return atLeast(title, wanted, many === undefined || one === undefined ? undefined : many / one);
}

function againstOthers(run: LabRun, ours: readonly ProtectionName[], clients: number): Figure {
  const best = (names: readonly ProtectionName[]) => {
    const rates = names.map((name) => ({ name, rate: goodPerSecond(steady(run, name, clients, 10)) }));
    return rates.reduce((a, b) => ((b.rate ?? -1) > (a.rate ?? -1) ? b : a));
  };
  const mine = best(ours);
  const other = best(OTHERS);
  const title = `good answers at 10 x, ${clients} clients: ${titleOf(mine.name)} against the best of the others (${titleOf(other.name)})`;
  const isMeasured = mine.rate !== undefined && other.rate !== undefined;
  return atLeast(title, 1, isMeasured ? (mine.rate ?? 0) / Math.max(other.rate ?? 0, 0.1) : undefined);
}

function tailLatency(run: LabRun, protection: ProtectionName): Figure {
  const title = `p99 of admitted requests at 10 x against unloaded, 50 clients: ${titleOf(protection)}`;
  const p99 = steady(run, protection, 50, 10)?.latencyMs.p99;
  const unloaded = baselineOf(run, "cpu")?.unloadedP99Ms;
  return atMost(title, 5, p99 === undefined || unloaded === undefined ? undefined : p99 / unloaded, " x");
}

function politeness(run: LabRun, protection: ProtectionName): Figure {
  const title = `good answers of nine polite clients beside a greedy one, against alone: ${titleOf(protection)}`;
  const rate = (shape: "greedy" | "polite") => {
    const trial = findTrial(run, { work: "cpu", shape, protection });
    return trial?.polite && trial.polite.good / trial.polite.offered;
  };
  const beside = rate("greedy");
  const alone = rate("polite");
  return atLeast(title, 0.9, beside === undefined || alone === undefined ? undefined : beside / alone);
}

/** A step: half of the capacity until here, the load until there. */
const STEP_FROM_S = 5;
const STEP_TO_S = 15;

function recovery(run: LabRun, protection: ProtectionName): Figure {
  const title = `seconds after the load's end until 95 % of normal service: ${titleOf(protection)}`;
  const trial = findTrial(run, { work: "cpu", shape: "step", protection });
  if (trial === undefined) return atMost(title, 10, undefined, " s");
  const seconds = recoverySeconds(trial);
  return atMost(title, 10, seconds ?? Number.POSITIVE_INFINITY, " s");
}

/**
 * Seconds from the end of the load on, after which the share of good answers stays at 95 % of what it was
 * before; over a second each, since a slice has few requests. `undefined`: never.
 */
export function recoverySeconds({ slices }: TrialResult): number | undefined {
  const shareFrom = (fromS: number, toS: number) => {
    const part = slices.filter(({ atSeconds }) => atSeconds >= fromS && atSeconds < toS);
    const offered = part.reduce((sum, slice) => sum + slice.offered, 0);
    return offered === 0 ? 1 : part.reduce((sum, slice) => sum + slice.good, 0) / offered;
  };
  const normal = shareFrom(1, STEP_FROM_S);
  const endS = (slices.at(-1)?.atSeconds ?? 0) + 0.5;
  let recoveredAtS: number | undefined;
  for (let atS = Math.floor(endS) - 1; atS >= STEP_TO_S; atS--) {
    if (shareFrom(atS, atS + 1) < normal * 0.95) break;
    recoveredAtS = atS;
  }
  return recoveredAtS === undefined ? undefined : recoveredAtS - STEP_TO_S;
}

function refusedAtHalf(run: LabRun, protection: ProtectionName): Figure {
  const refused = steady(run, protection, 50, 0.5)?.counts.refused;
  return atMost(`requests refused at 0.5 x, 50 clients: ${titleOf(protection)}`, 0, refused, "");
}

function cost(name: string, rate: number, { normalLoad }: LabRun): Figure {
  return atLeast(
    `throughput at normal load against the static token bucket: ${name}`,
    0.97,
    rate / normalLoad.tokenBucket,
  );
}

function atLeast(title: string, wanted: number, got: number | undefined): Figure {
  const isMet = got === undefined ? undefined : got >= wanted;
  return { title, wanted: `≥ ${wanted} x`, got: got === undefined ? "not measured" : `${round(got)} x`, isMet };
}

function atMost(title: string, wanted: number, got: number | undefined, unit: string): Figure {
  const isMet = got === undefined ? undefined : got <= wanted;
  const text = got === undefined ? "not measured" : Number.isFinite(got) ? `${round(got)}${unit}` : "not in the trial";
  return { title, wanted: `≤ ${wanted}${unit}`, got: text, isMet };
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
