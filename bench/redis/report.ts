import { mkdirSync, writeFileSync } from "node:fs";
import { median, medianRatio } from "../harness/statistics.js";
import type { RedisResult, RedisRound, RedisSize } from "./measure.js";
import { LEASED, PEERS, STRICT } from "./workloads.js";

/** A whole run. */
export interface RedisRun {
  readonly date: string;
  readonly command: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly isPinned: boolean;
  readonly rounds: number;
  readonly measureMs: number;
  readonly inFlight: number;
  readonly results: readonly RedisResult[];
  readonly sizes: readonly RedisSize[];
}

/** Decisions per second against the fastest peer of the same workload, at least so many times. */
const TARGETS: readonly (readonly [contenders: readonly string[], atLeast: number])[] = [
  [STRICT, 1.5],
  [LEASED, 10],
];

/** Writes name.json and name.md into a folder. */
export function writeRedisReport(run: RedisRun, folder: URL, name: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(run, null, 2)}\n`);
  writeFileSync(new URL(`${name}.md`, folder), redisMarkdown(run));
}

/** The run as Markdown: where and how, the figures against their targets, a table per workload, sizes. */
export function redisMarkdown(run: RedisRun): string {
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  const place = run.isPinned ? "the process that decides on core 0, Redis on core 1" : "not pinned to cores";
  return [
    "# Limits in Redis",
    "",
    `\`${run.command}\`, ${run.date.slice(0, 10)}, ${Object.values(run.machine).join(", ")}.`,
    `One Redis; each contender in processes of its own with ${run.inFlight} decisions in flight, ${run.rounds} ` +
      `interleaved rounds of ${run.measureMs / 1000} s; ${place}. Medians; a ratio is the median of the ratios within a round.`,
    "",
    `Versions: ${versions.join(", ")}.`,
    "",
    ...figureTable(run.results),
    ...run.results.flatMap(resultTable),
    ...sizeTable(run.sizes),
  ].join("\n");
}

function figureTable(results: readonly RedisResult[]): string[] {
  const rows = results.flatMap((result) => TARGETS.flatMap(([names, atLeast]) => figureRows(result, names, atLeast)));
  const head = ["| figure | best peer | target | decisions/s | CPU of the process |", "|---|---|--:|--:|--:|"];
  return rows.length === 0 ? [] : ["## Figures", "", ...head, ...rows, ""];
}

function figureRows(result: RedisResult, names: readonly string[], atLeast: number): string[] {
  const rates = (contender: string) => roundsOf(result, contender).map(({ perSecond }) => perSecond);
  const costs = (contender: string) => roundsOf(result, contender).map(({ cpuMicros }) => cpuMicros);
  const fastest = bestOf(PEERS, (peer) => -median(rates(peer)));
  const leanest = bestOf(PEERS, (peer) => median(costs(peer)));
  return names.map((name) => {
    const faster = medianRatio(rates(name), rates(fastest));
    const leaner = medianRatio(costs(leanest), costs(name));
    const missed = faster >= atLeast ? "" : " (missed)";
    return `| ${result.title}: ${name} | ${fastest} | >= ${atLeast} x | ${faster.toFixed(2)} x${missed} | 1/${leaner.toFixed(2)} |`;
  });
}

function bestOf(names: readonly string[], value: (name: string) => number): string {
  return [...names].sort((a, b) => value(a) - value(b))[0] ?? "";
}

function roundsOf(result: RedisResult, contender: string): readonly RedisRound[] {
  return result.contenders.find((one) => one.contender === contender)?.rounds ?? [];
}

function resultTable({ title, name, contenders }: RedisResult): string[] {
  const rows = contenders.map(({ contender, rounds }) => {
    const middle = (read: (round: RedisRound) => number) => median(rounds.map(read));
    const rates = rounds.map(({ perSecond }) => perSecond);
    const columns = [
      contender,
      median(rates).toFixed(0),
      `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`,
      middle((round) => round.cpuMicros).toFixed(2),
      middle((round) => round.redisCpuMicros).toFixed(2),
      middle((round) => round.sentCommands).toFixed(4),
      middle((round) => round.scriptCommands).toFixed(4),
      middle((round) => round.p50Ms).toFixed(3),
      middle((round) => round.p99Ms).toFixed(3),
    ];
    return `| ${columns.join(" | ")} |`;
  });
  return [
    `## ${title}`,
    "",
    `\`${name}\`; all but the rates for one decision.`,
    "",
    "| limiter | decisions/s | lowest-highest | CPU us | CPU us of Redis | commands sent | commands in scripts | p50 ms | p99 ms |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ...rows,
    "",
  ];
}

function sizeTable(sizes: readonly RedisSize[]): string[] {
  if (sizes.length === 0) return [];
  return [
    "## Bytes in Redis",
    "",
    "`MEMORY USAGE` of all keys that it takes, names included; the mean of many.",
    "",
    "| what | bytes |",
    "|---|--:|",
    ...sizes.map(({ what, bytes }) => `| ${what} | ${bytes.toFixed(0)} |`),
    "",
  ];
}
