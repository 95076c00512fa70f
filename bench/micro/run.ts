// npm run bench:micro: single parts against the same parts of the peers.
import { parseArgs } from "node:util";
import { prepare, versions } from "../harness/install.js";
import { machine, placement } from "../harness/machine.js";
import { selectCases } from "./groups.js";
import { type MicroResult, measureCase } from "./measure.js";
import { microMarkdown, writeMicroReport } from "./report.js";

const HELP = `npm run bench:micro -- [options]

  --only <names>       cases, comma-separated (default: all)
  --rounds <number>    rounds per case (default: 5)
  --duration <ms>      of each measurement (default: 1000)
  --warmup <ms>        before each measurement (default: 500)
  --output <name>      results/<name>.json and .md (default: micro; a part of the run: micro-partial)
  --help`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    duration: { type: "string", default: "1000" },
    warmup: { type: "string", default: "500" },
    output: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.info(HELP);
else await main();

async function main(): Promise<void> {
  const cases = selectCases(values.only?.split(","));
  prepare();
  const place = placement();
  const options = {
    placement: place,
    rounds: Number(values.rounds),
    warmupMs: Number(values.warmup),
    measureMs: Number(values.duration),
    newTokens: 20_000,
    isSmoke: false,
    report: console.error,
  };
  const results: MicroResult[] = [];
  for (const microCase of cases) results.push(await measureCase(microCase, options));
  const run = {
    date: new Date().toISOString(),
    command: ["npm run bench:micro", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
    machine: machine(),
    versions: versions(),
    isPinned: place.isPinned,
    rounds: options.rounds,
    results,
  };
  const name = values.output ?? (values.only === undefined ? "micro" : "micro-partial");
  writeMicroReport(run, new URL("../results/", import.meta.url), name);
  console.info(microMarkdown(run));
}
