// npm run lab:faults: a fleet under load, and everything that can happen to its Redis.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { FAULTS } from "./faults.js";
import { table } from "./report.js";
import { PROCESSES, QUOTA } from "./settings.js";
import { runTrial, type Trial } from "./trial.js";

const HELP = `npm run lab:faults -- [options]

Three processes share a Redis, and are asked sixty times a second each while it fails.
Without options all faults, about three minutes, and their report into lab/results/faults.md.

  --only <names>   ${Object.keys(FAULTS).join(", ")}; nothing is written
  --smoke          killed and clocks; nothing is written
  --help

Exit codes: 0 as promised in docs/fleet.md; 1 a promise was broken; 3 the machine was too busy to tell.`;

/** The exit code when nothing broke its promise, and the machine was too busy to judge all of them. */
const TOO_BUSY = 3;
const SMOKE = ["killed", "clocks"];

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    smoke: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
process.exit(values.help ? help() : await main());

function help(): number {
  console.info(HELP);
  return 0;
}

async function main(): Promise<number> {
  const names = values.only?.split(",") ?? (values.smoke ? SMOKE : Object.keys(FAULTS));
  const trials: Trial[] = [];
  for (const name of names) {
    const fault = FAULTS[name];
    if (fault === undefined) {
      console.error(`there is no fault "${name}"\n\n${HELP}`);
      return 1;
    }
    console.warn(`${fault.name} ...`);
    trials.push(await runTrial(fault));
  }
  console.info(`\n${table(trials)}\n`);
  const isWhole = values.only === undefined && !values.smoke;
  const verdict = verdictOf(trials);
  console.info(verdict);
  if (isWhole) write(trials, verdict);
  if (trials.some(({ broken }) => broken.length > 0)) return 1;
  return trials.some(({ undecided }) => undecided.length > 0) ? TOO_BUSY : 0;
}

function verdictOf(trials: readonly Trial[]): string {
  const lines = trials.flatMap(({ name, broken, undecided, latestTimerMs }) => [
    ...broken.map((problem) => `Not as promised (${name}): ${problem}.`),
    ...undecided.map(
      (problem) =>
        `Undecided (${name}): ${problem}. The machine was too busy: a timer came ${Math.round(latestTimerMs)} ms late.`,
    ),
  ]);
  return lines.length === 0 ? "All as promised in docs/fleet.md." : lines.join("\n");
}

function write(trials: readonly Trial[], verdict: string): void {
  const folder = new URL("../results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const about = `\`npm run lab:faults\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}. ${PROCESSES} processes, a quota of ${QUOTA}; answers by status while the fault lasted and until all was as before.`;
  writeFileSync(
    new URL("faults.md", folder),
    `# What a fleet answers while its Redis fails\n\n${about}\n\n${table(trials)}\n\n${verdict}\n`,
  );
}
