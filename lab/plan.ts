import type { LoadShape, ProtectionName, Trial, WorkKind } from "./result.js";

/** All protections, in the order of the tables. */
export const PROTECTIONS: readonly ProtectionName[] = [
  "none",
  "token-bucket",
  "cello-adaptive",
  "cello-shedding",
  "under-pressure",
  "toobusy",
  "gradient",
];

/**
 * Answers of a steady load count from here on: the limits need some time to find the load, and how fast they
 * are is what the step shows.
 */
const SETTLE_SECONDS = 3;
const STEP = { before: 5, during: 10, after: 15 };
const STEP_SECONDS = STEP.before + STEP.during + STEP.after;
/** Start, warm-up and rest of a server, and clients that wait for the last answers. */
const SECONDS_AROUND_A_TRIAL = 3.8;

/** What the whole matrix is made of; each for every protection. */
const MATRIX: readonly Omit<Trial, "protection">[] = [
  ...[0.5, 1, 2, 5, 10].map((load) => steady("cpu", 50, load, 7)),
  ...[1, 10].map((load) => steady("cpu", 1000, load, 6)),
  steady("cpu", 1, 10, 4),
  steady("cpu-synchronous", 50, 10, 4),
  ...[1, 2, 10].map((load) => steady("dependency", 50, load, 5)),
  steady("memory", 50, 2, 5),
  { work: "cpu", shape: "step", clients: 50, load: 10, seconds: STEP_SECONDS },
  { work: "cpu", shape: "polite", clients: 9, load: 0.5, seconds: 10 },
  { work: "cpu", shape: "greedy", clients: 10, load: 10, seconds: 10 },
];

/** Which trials to run; what is not given is not chosen by. */
export interface TrialFilter {
  readonly works?: readonly string[] | undefined;
  readonly protections?: readonly string[] | undefined;
  readonly shapes?: readonly string[] | undefined;
  readonly clients?: readonly number[] | undefined;
  readonly loads?: readonly number[] | undefined;
  /** Another length than the planned one; of steps it is left as it is. */
  readonly seconds?: number | undefined;
}

/**
 * The trials of a run. All protections of a cell come one after the other, so that what changes on the
 * machine in half an hour changes for all.
 *
 * @throws Error when the filter leaves none
 */
export function planTrials(filter: TrialFilter = {}): readonly Trial[] {
  const trials = MATRIX.flatMap((cell) => PROTECTIONS.map((protection): Trial => ({ ...cell, protection })));
  const chosen = trials.filter((trial) => isChosen(trial, filter));
  if (chosen.length === 0) throw new Error("no trial is left: see lab/plan.ts for what there is");
  const { seconds } = filter;
  if (seconds === undefined) return chosen;
  return chosen.map((trial) => (trial.shape === "step" ? trial : { ...trial, seconds }));
}

/** The rate over time, in multiples of the capacity, of a group of clients. */
export interface PlannedGroup {
  readonly name: "all" | "polite" | "greedy";
  readonly clients: number;
  readonly phases: readonly { readonly seconds: number; readonly load: number }[];
}

/**
 * Who sends how much in a trial.
 *
 * @param settle seconds of load before what is measured
 */
export function plannedGroups(
  { shape, clients, load, seconds }: Trial,
  settle: number = settleSeconds(shape),
): readonly PlannedGroup[] {
  const whole = settle + seconds;
  const constant = (share: number) => [{ seconds: whole, load: share }];
  if (shape === "steady") return [{ name: "all", clients, phases: constant(load) }];
  if (shape === "polite") return [{ name: "polite", clients, phases: constant(0.5) }];
  if (shape === "greedy") {
    return [
      { name: "polite", clients: clients - 1, phases: constant(0.5) },
      { name: "greedy", clients: 1, phases: constant(load) },
    ];
  }
  const phases = [
    { seconds: STEP.before, load: 0.5 },
    { seconds: STEP.during, load },
    { seconds: STEP.after, load: 0.5 },
  ];
  return [{ name: "all", clients, phases }];
}

/** Seconds of load before what is measured. */
export function settleSeconds(shape: LoadShape): number {
  return shape === "step" ? 0 : SETTLE_SECONDS;
}

/** How long the trials take, in seconds. */
export function expectedSeconds(trials: readonly Trial[]): number {
  return trials.reduce((sum, { shape, seconds }) => sum + settleSeconds(shape) + seconds + SECONDS_AROUND_A_TRIAL, 0);
}

/** The works that trials need, each once. */
export function worksOf(trials: readonly Trial[]): readonly WorkKind[] {
  return [...new Set(trials.map(({ work }) => work))];
}

function steady(work: WorkKind, clients: number, load: number, seconds: number): Omit<Trial, "protection"> {
  return { work, shape: "steady", clients, load, seconds };
}

function isChosen(trial: Trial, { works, protections, shapes, clients, loads }: TrialFilter): boolean {
  return (
    (works?.includes(trial.work) ?? true) &&
    (protections?.includes(trial.protection) ?? true) &&
    (shapes?.includes(trial.shape) ?? true) &&
    (clients?.includes(trial.clients) ?? true) &&
    (loads?.includes(trial.load) ?? true)
  );
}
