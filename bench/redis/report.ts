import { median, medianRatio } from "../harness/statistics.js";
import { headLines, type RunHead, rounded, spread, table, verdict } from "../harness/suite.js";
import type { RedisResult, RedisRound, RedisSize } from "./measure.js";
import { LEASED, PEERS, STRICT } from "./workloads.js";

/** A whole run. */
export interface RedisRun extends RunHead {
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

/** One line for each workload and limiter: a value a round. */
export function redisTrials(results: readonly RedisResult[]): object[] {
  return results.flatMap(({ name, contenders }) =>
    contenders.map(({ contender, rounds }) => {
      const values = (field: keyof RedisRound) => rounds.map((round) => rounded(round[field]));
      const [perSecond, cpuMicros, redisCpuMicros] = [
        values("perSecond"),
        values("cpuMicros"),
        values("redisCpuMicros"),
      ];
      return { workload: name, contender, perSecond, cpuMicros, redisCpuMicros, p99Ms: values("p99Ms") };
    }),
  );
}

/** The run as Markdown: where and how, the figures against their targets, a table per workload, sizes. */
export function redisMarkdown(run: RedisRun): string {
  const place = run.isPinned ? "the process that decides on core 0, Redis on core 1" : "not pinned to cores";
  const how =
    `One Redis; each contender in processes of its own with ${run.inFlight} decisions in flight, ${run.rounds} ` +
    `interleaved rounds of ${run.measureMs / 1000} s; ${place}.`;
  return [
    ...headLines("Limits in Redis", run, how),
    ...figureTable(run.results),
    ...run.results.flatMap(resultTable),
    ...sizeTable(run.sizes),
  ].join("\n");
}

function figureTable(results: readonly RedisResult[]): string[] {
  const rows = results.flatMap((result) => TARGETS.flatMap(([names, atLeast]) => figureRows(result, names, atLeast)));
  const shown = table(["figure", "best peer", "target", "decisions/s", "CPU of the process"], 2, rows);
  return shown.length === 0 ? [] : ["## Figures", "", ...shown];
}

function figureRows(result: RedisResult, names: readonly string[], atLeast: number): string[][] {
  const rates = (contender: string) => roundsOf(result, contender).map(({ perSecond }) => perSecond);
  const costs = (contender: string) => roundsOf(result, contender).map(({ cpuMicros }) => cpuMicros);
  const fastest = bestOf(PEERS, (peer) => -median(rates(peer)));
  const leanest = bestOf(PEERS, (peer) => median(costs(peer)));
  return names.map((name) => {
    const faster = medianRatio(rates(name), rates(fastest));
    const leaner = medianRatio(costs(leanest), costs(name));
    const rate = verdict(faster, faster >= atLeast);
    return [`${result.title}: ${name}`, fastest, `>= ${atLeast} x`, rate, `1/${leaner.toFixed(2)}`];
  });
}

function bestOf(names: readonly string[], value: (name: string) => number): string {
  return [...names].sort((a, b) => value(a) - value(b))[0] ?? "";
}

function roundsOf(result: RedisResult, contender: string): readonly RedisRound[] {
  return result.contenders.find((one) => one.contender === contender)?.rounds ?? [];
}

const COLUMNS = [
  "limiter",
  "decisions/s",
  "lowest-highest",
  "CPU us",
  "CPU us of Redis",
  "commands sent",
  "commands in scripts",
  "p50 ms",
  "p99 ms",
];

function resultTable({ title, name, contenders }: RedisResult): string[] {
  const rows = contenders.map(({ contender, rounds }) => {
    const middle = (read: (round: RedisRound) => number) => median(rounds.map(read));
    const rates = rounds.map(({ perSecond }) => perSecond);
    return [
      contender,
      median(rates).toFixed(0),
      spread(rates),
      middle((round) => round.cpuMicros).toFixed(2),
      middle((round) => round.redisCpuMicros).toFixed(2),
      middle((round) => round.sentCommands).toFixed(4),
      middle((round) => round.scriptCommands).toFixed(4),
      middle((round) => round.p50Ms).toFixed(3),
      middle((round) => round.p99Ms).toFixed(3),
    ];
  });
  return [`## ${title}`, "", `\`${name}\`; all but the rates for one decision.`, "", ...table(COLUMNS, 1, rows)];
}

function sizeTable(sizes: readonly RedisSize[]): string[] {
  if (sizes.length === 0) return [];
  return [
    "## Bytes in Redis",
    "",
    "`MEMORY USAGE` of all keys that it takes, names included; the mean of many.",
    "",
    ...table(
      ["what", "bytes"],
      1,
      sizes.map(({ what, bytes }) => [what, bytes.toFixed(0)]),
    ),
  ];
}
