import type { Baseline, TrialResult } from "../result.js";

/** The head of the lines of {@link trialLine}. */
export const TRIAL_HEAD =
  "work             shape   clients load  protection      | offered/s  good/s  of capacity  late/s refused/s failed/s |  p50   p95   p99 ms | polite | limit concurrency | load's CPU";

/** One line of a table on the terminal. */
export function trialLine(trial: TrialResult, baseline: Baseline): string {
  const { counts, latencyMs, polite, measuredSeconds } = trial;
  const perSecond = (value: number, width: number) => (value / measuredSeconds).toFixed(1).padStart(width);
  const last = trial.slices.at(-1);
  return [
    `${trial.work.padEnd(17)}${trial.shape.padEnd(8)}${String(trial.clients).padStart(6)}${String(trial.load).padStart(6)}  ${trial.protection.padEnd(15)}`,
    `${perSecond(counts.offered, 9)}${perSecond(counts.good, 9)}${(counts.good / measuredSeconds / baseline.capacity).toFixed(3).padStart(12)}${perSecond(counts.late, 9)}${perSecond(counts.refused, 9)}${perSecond(counts.failed, 9)}`,
    `${[latencyMs.p50, latencyMs.p95, latencyMs.p99].map((value) => value.toFixed(0).padStart(5)).join(" ")}   `,
    polite === undefined ? "      " : (polite.good / polite.offered).toFixed(3).padStart(6),
    `${String(last?.limit ?? "-").padStart(5)}${String(last?.concurrency ?? "-").padStart(12)}`,
    trial.generatorCpu.toFixed(2).padStart(5),
  ].join(" | ");
}
