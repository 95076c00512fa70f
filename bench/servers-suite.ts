import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { drawChart } from "./harness/chart.js";
import { Contest, type ContestResult } from "./harness/contest.js";
import { prepare } from "./harness/install.js";
import type { LoadGenerator } from "./harness/load.js";
import { hasCommand } from "./harness/machine.js";
import { markdown, trialsOf } from "./harness/report.js";
import { selectServers, serversOf } from "./harness/servers.js";
import { BENCH, type Suite } from "./harness/suite.js";
import { selectWorkloads } from "./harness/workloads.js";

/** Real servers in their own processes, measured in turns. */
export const servers: Suite = {
  command: "npm run bench",
  folder: BENCH,
  output: "servers",
  options: {
    only: { takes: "names", help: "workloads, comma-separated; all when not given", isPart: true },
    servers: { takes: "names", help: "servers, comma-separated; all when not given", isPart: true },
    against: { takes: "checkout", help: "Cello of another checkout, built there, in the same run", isPart: true },
    rounds: { takes: "number", help: "of each workload", default: "5" },
    duration: { takes: "seconds", help: "of each measurement", default: "5" },
    warmup: { takes: "seconds", help: "before the first round", default: "3" },
    load: { takes: "generator", help: "sockets (ours, never asleep), wrk or autocannon", default: "sockets" },
    "cpu-prof": { takes: "folder", help: "write CPU profiles of Cello's servers there" },
  },
  async run(run) {
    const workloads = selectWorkloads(run.list("only"));
    prepare();
    const against = run.text("against");
    const before = against === undefined ? [] : serversOf(pathToFileURL(`${resolve(against)}/`));
    const profiles = run.text("cpu-prof");
    const options = {
      servers: [...selectServers(run.list("servers")), ...before],
      generator: chooseGenerator(run.text("load") ?? ""),
      placement: run.placement,
      rounds: run.count("rounds"),
      seconds: run.count("duration"),
      warmupSeconds: run.count("warmup"),
      newTokens: 200_000,
      nodeOptions: profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`],
      report: run.report,
    };
    const contests: ContestResult[] = [];
    for (const workload of workloads) contests.push(await new Contest(workload, options).run());
    const { generator: load, rounds, seconds } = options;
    const result = { ...run.head(), load, rounds, seconds, contests };
    const plots = async () => ({ "servers.svg": drawChart(contests.filter(({ rate }) => rate === 0)) });
    return { markdown: markdown(result), trials: trialsOf(contests), ...(!run.isPart && { plots }) };
  },
};

function chooseGenerator(asked: string): LoadGenerator {
  if (asked === "sockets" || asked === "autocannon") return asked;
  if (asked !== "wrk") throw new Error(`--load ${asked}: sockets, wrk or autocannon`);
  if (!hasCommand("wrk", ["-v"])) throw new Error("--load wrk: it is not installed");
  return asked;
}
