// npm run lab: servers under up to ten times their capacity, with and without protection.
import { buildCello, installPackage } from "../bench/harness/install.js";
import type { Placement } from "../bench/harness/machine.js";
import { runSuite, type Suite } from "../bench/harness/suite.js";
import { BASELINE_SECONDS, measureBaseline } from "./harness/baseline.js";
import { measureNormalLoad, NORMAL_LOAD_SECONDS } from "./harness/normal-load.js";
import { runTrial } from "./harness/trial.js";
import { TRIAL_HEAD, trialLine } from "./harness/trial-line.js";
import { expectedSeconds, planTrials, worksOf } from "./plan.js";
import { reportOf } from "./report/report.js";
import type { Baseline, Trial, TrialResult } from "./result.js";

const lab: Suite = {
  command: "npm run lab",
  note:
    "Without options the whole matrix, about half an hour, and its report into lab/results/ and docs/adaptive.md.\n" +
    "With any of the first five a part of it, a line for each trial, and nothing is written.\n" +
    "Names and numbers are comma-separated.",
  folder: new URL("./", import.meta.url),
  output: "lab",
  options: {
    work: { takes: "names", help: "cpu, cpu-synchronous, dependency, memory", isPart: true },
    protection: {
      takes: "names",
      help: "none, token-bucket, cello-adaptive, cello-shedding, under-pressure, toobusy, gradient",
      isPart: true,
    },
    shape: { takes: "names", help: "steady, step, greedy, polite", isPart: true },
    clients: { takes: "numbers", help: "how many", isPart: true },
    load: { takes: "numbers", help: "multiples of the capacity", isPart: true },
    seconds: { takes: "number", help: "another length than the planned one (not of steps)", isPart: true },
    slices: { help: "print each half second of the trials as well" },
    "normal-load": { help: "what following the load costs without overload, alone" },
  },
  async run(run) {
    const trials = planTrials({
      works: run.list("work"),
      protections: run.list("protection"),
      shapes: run.list("shape"),
      clients: numbers("clients", run.list("clients")),
      loads: numbers("load", run.list("load")),
      seconds: numbers("seconds", run.list("seconds"))?.[0],
    });
    installPackage(lab.folder);
    buildCello();
    if (run.isOn("normal-load")) return void console.info(await measureNormalLoad(run.placement));

    const seconds =
      expectedSeconds(trials) + worksOf(trials).length * BASELINE_SECONDS + (run.isPart ? 0 : NORMAL_LOAD_SECONDS);
    run.report(`${trials.length} trials, about ${Math.ceil(seconds / 60)} minutes`);
    const baselines = await measureBaselines(trials, run.placement);
    const results = await runTrials(trials, baselines, run.placement, run.isOn("slices"));
    if (run.isPart) return undefined;

    run.report("normal load");
    const normalLoad = await measureNormalLoad(run.placement);
    return reportOf({ ...run.head(), baselines, trials: results, normalLoad });
  },
};

await runSuite(lab, process.argv.slice(2));

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
  showsSlices: boolean,
): Promise<readonly TrialResult[]> {
  const results: TrialResult[] = [];
  console.info(TRIAL_HEAD);
  for (const [index, trial] of trials.entries()) {
    const baseline = baselines.find(({ work }) => work === trial.work);
    if (baseline === undefined) throw new Error(`no baseline for ${trial.work}`);
    const result = await runTrial(trial, { baseline, placement: place, number: index });
    results.push(result);
    console.info(trialLine(result, baseline));
    if (showsSlices) console.table(result.slices);
    const minutesLeft = expectedSeconds(trials.slice(index + 1)) / 60;
    console.error(`  ${index + 1} of ${trials.length}, about ${Math.ceil(minutesLeft)} minutes of trials left`);
  }
  return results;
}

function numbers(option: string, given: readonly string[] | undefined): readonly number[] | undefined {
  const parsed = given?.map(Number);
  if (parsed?.some((value) => !(value > 0))) throw new Error(`--${option} takes numbers above 0, got ${given}`);
  return parsed;
}
