import { type ContestResult, perSecond, type Round } from "./contest.js";
import { figures } from "./figures.js";
import { serverTitle } from "./servers.js";
import { median, medianRatio } from "./statistics.js";
import { headLines, type RunHead, rounded, spread, table, verdict } from "./suite.js";

/** A whole run. */
export interface RunResult extends RunHead {
  readonly load: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly contests: readonly ContestResult[];
}

/** One line for each server and workload: a value a round. */
export function trialsOf(contests: readonly ContestResult[]): object[] {
  return contests.flatMap(({ workload, rate, servers }) =>
    servers.map(({ server, rounds }) => ({
      workload,
      ...(rate > 0 && { rate }),
      server,
      perSecond: rounds.map((round) => Math.round(perSecond(round))),
      cpuMicros: rounds.map(({ cpuMicros }) => (cpuMicros === null ? null : rounded(cpuMicros))),
      p50Ms: rounds.map(({ p50Ms }) => rounded(p50Ms)),
      p99Ms: rounds.map(({ p99Ms }) => rounded(p99Ms)),
    })),
  );
}

/** The run as Markdown: where and how, the figures against their targets, a table per workload. */
export function markdown(run: RunResult): string {
  const place = run.isPinned ? "servers on core 0, load on core 1" : "not pinned to cores";
  const how = `Load: ${run.load}; ${run.rounds} interleaved rounds of ${run.seconds} s; ${place}.`;
  const rows = figures(run.contests).map(({ title, target, value, isMet }) => [title, target, verdict(value, isMet)]);
  const shown = table(["figure", "target", "got"], 3, rows);
  return [
    ...headLines("Servers", run, how),
    ...(shown.length === 0 ? [] : ["## Figures", "", ...shown]),
    ...run.contests.flatMap(contestTable),
  ].join("\n");
}

const COLUMNS = [
  "server",
  "requests/s",
  "lowest-highest",
  "Cello App against it",
  "CPU us/request",
  "its CPU against Cello App's",
  "p50 ms",
  "p99 ms",
];

function contestTable({ title, workload, rate, servers }: ContestResult): string[] {
  const celloRounds = servers.find(({ server }) => server === "cello-app")?.rounds;
  const cello = celloRounds?.map(perSecond);
  const celloCpu = celloRounds?.map(cpuOf);
  const rows = servers.map(({ server, rounds }) => {
    const rates = rounds.map(perSecond);
    const cpu = rounds.map(cpuOf);
    const ratio = cello === undefined ? Number.NaN : medianRatio(cello, rates);
    return [
      serverTitle(server),
      median(rates).toFixed(0),
      spread(rates),
      times(ratio),
      cpu.includes(Number.NaN) ? "" : median(cpu).toFixed(1),
      times(celloCpu === undefined ? Number.NaN : medianRatio(cpu, celloCpu)),
      median(rounds.map(({ p50Ms }) => p50Ms)).toFixed(2),
      median(rounds.map(({ p99Ms }) => p99Ms)).toFixed(2),
    ];
  });
  return [
    `## ${title}`,
    "",
    rate > 0 ? `\`${workload}\`: open loop, ${rate} requests/s.` : `\`${workload}\`: closed loop.`,
    "",
    ...table(COLUMNS, 1, rows),
  ];
}

function cpuOf({ cpuMicros }: Round): number {
  return cpuMicros ?? Number.NaN;
}

function times(ratio: number): string {
  return Number.isNaN(ratio) ? "" : `${ratio.toFixed(2)} x`;
}
