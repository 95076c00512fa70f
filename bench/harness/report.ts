import { mkdirSync, writeFileSync } from "node:fs";
import { drawChart } from "./chart.js";
import { type ContestResult, perSecond, type Round } from "./contest.js";
import { figures } from "./figures.js";
import { serverTitle } from "./servers.js";
import { median, medianRatio } from "./statistics.js";

/** A whole run. */
export interface RunResult {
  readonly date: string;
  readonly command: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly load: string;
  readonly isPinned: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly contests: readonly ContestResult[];
}

/** Writes name.json, name.md and name.svg into a folder. */
export function writeReport(run: RunResult, folder: URL, name: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(run, null, 2)}\n`);
  writeFileSync(new URL(`${name}.md`, folder), markdown(run));
  writeFileSync(new URL(`${name}.svg`, folder), drawChart(run.contests.filter(({ rate }) => rate === 0)));
}

/** The run as Markdown: where and how, the figures against their targets, a table per workload. */
export function markdown(run: RunResult): string {
  const head = [
    "# Servers",
    "",
    `\`${run.command}\`, ${run.date.slice(0, 10)}, ${Object.values(run.machine).join(", ")}.`,
    `Load: ${run.load}; ${run.rounds} interleaved rounds of ${run.seconds} s; ${
      run.isPinned ? "servers on core 0, load on core 1" : "not pinned to cores"
    }. Medians; a ratio is the median of the ratios within a round.`,
    "",
    `Versions: ${Object.entries(run.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
    "",
  ];
  return [...head, ...figureTable(run), ...run.contests.flatMap(contestTable)].join("\n");
}

function figureTable({ contests }: RunResult): string[] {
  const rows = figures(contests).map(
    ({ title, target, value, isMet }) => `| ${title} | ${target} | ${value.toFixed(2)} x${isMet ? "" : " (missed)"} |`,
  );
  return rows.length === 0 ? [] : ["## Figures", "", "| figure | target | got |", "|---|---|---|", ...rows, ""];
}

function contestTable({ title, workload, rate, servers }: ContestResult): string[] {
  const celloRounds = servers.find(({ server }) => server === "cello-app")?.rounds;
  const cello = celloRounds?.map(perSecond);
  const celloCpu = celloRounds?.map(cpuOf);
  const rows = servers.map(({ server, rounds }) => {
    const rates = rounds.map(perSecond);
    const cpu = rounds.map(cpuOf);
    const ratio = cello === undefined ? Number.NaN : medianRatio(cello, rates);
    const spread = `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`;
    const columns = [
      serverTitle(server),
      median(rates).toFixed(0),
      spread,
      times(ratio),
      cpu.includes(Number.NaN) ? "" : median(cpu).toFixed(1),
      times(celloCpu === undefined ? Number.NaN : medianRatio(cpu, celloCpu)),
      median(rounds.map(({ p50Ms }) => p50Ms)).toFixed(2),
      median(rounds.map(({ p99Ms }) => p99Ms)).toFixed(2),
    ];
    return `| ${columns.join(" | ")} |`;
  });
  return [
    `## ${title}`,
    "",
    rate > 0 ? `\`${workload}\`: open loop, ${rate} requests/s.` : `\`${workload}\`: closed loop.`,
    "",
    "| server | requests/s | lowest-highest | Cello App against it | CPU us/request | its CPU against Cello App's | p50 ms | p99 ms |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...rows,
    "",
  ];
}

function cpuOf({ cpuMicros }: Round): number {
  return cpuMicros ?? Number.NaN;
}

function times(ratio: number): string {
  return Number.isNaN(ratio) ? "" : `${ratio.toFixed(2)} x`;
}
