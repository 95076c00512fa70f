// npm run lab: servers under up to ten times their capacity, with and without protection.
import { parseArgs } from "node:util";
import { buildCello, installPackage, versions } from "../bench/harness/install.js";
import { machine, type Placement, placement } from "../bench/harness/machine.js";
import { BASELINE_SECONDS, measureBaseline } from "./harness/baseline.js";
import { measureNormalLoad, NORMAL_LOAD_SECONDS } from "./harness/normal-load.js";
import { runTrial } from "./harness/trial.js";
import { TRIAL_HEAD, trialLine } from "./harness/trial-line.js";
import { expectedSeconds, planTrials, worksOf } from "./plan.js";
import { writeReport } from "./report/write.js";
import type { Baseline, Trial, TrialResult } from "./result.js";

const HELP = `npm run lab -- [options]

Without options the whole matrix, about half an hour, and its report into lab/results/.
With any of these a part of it, a line for each trial, and nothing is written:

  --work <names>         cpu, cpu-synchronous, dependency, memory
  --protection <names>   none, token-bucket, cello-adaptive, cello-shedding, under-pressure, toobusy, gradient
  --shape <names>        steady, step, greedy, polite
  --clients <numbers>
  --load <numbers>       multiples of the capacity
  --seconds <number>     another length than the planned one (not of steps)
  --slices               print each half second of the trials as well
  --normal-load          what following the load costs without overload, alone

  --help
Names and numbers are comma-separated.`;

const LAB = new URL("./", import.meta.url);

const { values } = parseArgs({
  options: {
    work: { type: "string" },
    protection: { type: "string" },
    shape: { type: "string" },
    clients: { type: "string" },
    load: { type: "string" },
    seconds: { type: "string" },
    slices: { type: "boolean", default: false },
    "normal-load": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.info(HELP);
else await main();

async function main(): Promise<void> {
  const trials = planTrials({
    works: values.work?.split(","),
    protections: values.protection?.split(","),
    shapes: values.shape?.split(","),
    clients: numbers("clients", values.clients),
    loads: numbers("load", values.load),
    seconds: numbers("seconds", values.seconds)?.[0],
  });
  installPackage(LAB);
  buildCello();
  const place = placement();
  if (!place.isPinned) console.error("no two cores to pin to: server and load share them, figures are rough");
  if (values["normal-load"]) return console.info(await measureNormalLoad(place));

  const isWhole = process.argv.length === 2;
  const seconds =
    expectedSeconds(trials) + worksOf(trials).length * BASELINE_SECONDS + (isWhole ? NORMAL_LOAD_SECONDS : 0);
  console.error(`${trials.length} trials, about ${Math.ceil(seconds / 60)} minutes`);
  const baselines = await measureBaselines(trials, place);
  const results = await runTrials(trials, baselines, place);
  if (!isWhole) return;

  console.error("normal load");
  const normalLoad = await measureNormalLoad(place);
  const { cpu, cores, memory, system } = machine();
  await writeReport({
    date: new Date().toISOString(),
    machine: [cpu, cores, memory, system, place.isPinned ? "server on core 0, load on core 1" : "not pinned"].join(
      ", ",
    ),
    command: "npm run lab",
    versions: versions(LAB),
    baselines,
    trials: results,
    normalLoad,
  });
}

async function measureBaselines(trials: readonly Trial[], place: Placement): Promise<readonly Baseline[]> {
  const baselines: Baseline[] = [];
  for (const work of worksOf(trials)) {
    const baseline = await measureBaseline(work, place);
    const { capacity, unloadedP95Ms, unloadedP99Ms, goodWithinMs } = baseline;
    console.error(
      `${work}: capacity ${capacity.toFixed(1)}/s, unloaded p95 ${unloadedP95Ms.toFixed(1)} ms, ` +
        `p99 ${unloadedP99Ms.toFixed(1)} ms, good within ${goodWithinMs.toFixed(0)} ms`,
    );
    baselines.push(baseline);
  }
  return baselines;
}

async function runTrials(
  trials: readonly Trial[],
  baselines: readonly Baseline[],
  place: Placement,
): Promise<readonly TrialResult[]> {
  const results: TrialResult[] = [];
  console.info(TRIAL_HEAD);
  for (const [index, trial] of trials.entries()) {
    const baseline = baselines.find(({ work }) => work === trial.work);
    if (baseline === undefined) throw new Error(`no baseline for ${trial.work}`);
    const result = await runTrial(trial, { baseline, placement: place, number: index });
    results.push(result);
    console.info(trialLine(result, baseline));
    if (values.slices) console.table(result.slices);
    const minutesLeft = expectedSeconds(trials.slice(index + 1)) / 60;
    console.error(`  ${index + 1} of ${trials.length}, about ${Math.ceil(minutesLeft)} minutes of trials left`);
  }
  return results;
}

function numbers(option: string, text: string | undefined): readonly number[] | undefined {
  const parsed = text?.split(",").map(Number);
  if (parsed?.some((value) => !(value > 0))) throw new Error(`--${option} takes numbers above 0, got ${text}`);
  return parsed;
}
