// npm run bench: real servers in their own processes, measured in turns.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Contest, type ContestResult } from "./harness/contest.js";
import { prepare, versions } from "./harness/install.js";
import type { LoadGenerator } from "./harness/load.js";
import { hasCommand, machine, placement } from "./harness/machine.js";
import { markdown, writeReport } from "./harness/report.js";
import { selectServers, serversOf } from "./harness/servers.js";
import { selectWorkloads } from "./harness/workloads.js";

const HELP = `npm run bench -- [options]

  --only <names>       workloads, comma-separated (default: all)
  --servers <names>    servers, comma-separated (default: all)
  --against <checkout> Cello of another checkout, built there, in the same run
  --rounds <number>    rounds per workload (default: 5)
  --duration <seconds> of each measurement (default: 5)
  --warmup <seconds>   before the first round (default: 3)
  --load <generator>   sockets (ours, never asleep), wrk or autocannon (default: sockets)
  --output <name>      results/<name>.json, .md and .svg (default: servers; a part of the run: partial)
  --cpu-prof <folder>  write CPU profiles of Cello's servers there
  --help`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    servers: { type: "string" },
    against: { type: "string" },
    rounds: { type: "string", default: "5" },
    duration: { type: "string", default: "5" },
    warmup: { type: "string", default: "3" },
    load: { type: "string", default: "sockets" },
    output: { type: "string" },
    "cpu-prof": { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.info(HELP);
else await main();

async function main(): Promise<void> {
  const workloads = selectWorkloads(values.only?.split(","));
  prepare();
  const before = values.against === undefined ? [] : serversOf(pathToFileURL(`${resolve(values.against)}/`));
  const servers = [...selectServers(values.servers?.split(",")), ...before];
  const generator = chooseGenerator(values.load);
  const place = placement();
  if (!place.isPinned) console.error("no two cores to pin to: servers and load share them, numbers are rough");
  const profiles = values["cpu-prof"];
  const options = {
    servers,
    generator,
    placement: place,
    rounds: wholeNumber("rounds", values.rounds),
    seconds: wholeNumber("duration", values.duration),
    warmupSeconds: wholeNumber("warmup", values.warmup),
    newTokens: 200_000,
    nodeOptions: profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`],
    report: console.error,
  };
  const contests: ContestResult[] = [];
  for (const workload of workloads) contests.push(await new Contest(workload, options).run());
  const run = {
    date: new Date().toISOString(),
    command: ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
    machine: machine(),
    versions: versions(),
    load: generator,
    isPinned: place.isPinned,
    rounds: options.rounds,
    seconds: options.seconds,
    contests,
  };
  const isPartial = [values.only, values.servers, values.against].some((part) => part !== undefined);
  writeReport(run, new URL("results/", import.meta.url), values.output ?? (isPartial ? "partial" : "servers"));
  console.info(markdown(run));
}

function chooseGenerator(asked: string): LoadGenerator {
  if (asked === "sockets" || asked === "autocannon") return asked;
  if (asked !== "wrk") throw new Error(`--load ${asked}: sockets, wrk or autocannon`);
  if (!hasCommand("wrk", ["-v"])) throw new Error("--load wrk: it is not installed");
  return asked;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} ${text}: a whole number above 0`);
}
