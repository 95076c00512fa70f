import { median, medianRatio } from "../harness/statistics.js";
import { headLines, type RunHead, rounded, spread, table, verdict } from "../harness/suite.js";
import type { MicroResult } from "./measure.js";

/** A whole run of the micro-benchmarks. */
export interface MicroRun extends RunHead {
  readonly rounds: number;
  readonly results: readonly MicroResult[];
}

/** What the project has set itself: so many times another's rate, or at most so many bytes. */
const RATE_TARGETS: readonly (readonly [name: string, cello: string, others: readonly string[], atLeast: number])[] = [
  ["limiter-1000000", "cello token bucket", ["rate-limiter-flexible", "express-rate-limit", "@fastify/rate-limit"], 2],
  ["hs256-new", "cello", ["fast-jwt"], 1.1],
  ["hs256-new", "cello", ["jose"], 4],
  ["cookie", "cello, sealed", ["iron-session, sealed"], 20],
  ["cookie", "cello, sealed", ["@fastify/secure-session, sealed"], 1],
];

const BYTES_TARGETS: readonly (readonly [name: string, cello: string, atMost: number])[] = [
  ["limiter-bytes-1000000", "cello token bucket", 40],
  // The keys of this case have one admitted request each, and a request is 8 bytes.
  ["limiter-bytes-1000000", "cello sliding window", 48],
];

/** One line for each case and contender: a value a round. */
export function microTrials(results: readonly MicroResult[]): object[] {
  return results.flatMap(({ name, mode, contenders }) =>
    contenders.map(({ contender, values }) => {
      const measured = values.map(rounded);
      return { case: name, contender, [mode === "bytes" ? "bytesPerKey" : "cpuNanoseconds"]: measured };
    }),
  );
}

/** The run as Markdown. */
export function microMarkdown(run: MicroRun): string {
  const place = run.isPinned ? ", pinned to a core" : "";
  const how = `Each contender in processes of its own, ${run.rounds} interleaved rounds of computing time${place}.`;
  const shown = table(["figure", "target", "got"], 3, [...rateRows(run.results), ...bytesRows(run.results)]);
  return [
    ...headLines("Micro-benchmarks", run, how),
    ...(shown.length === 0 ? [] : ["## Figures", "", ...shown]),
    ...run.results.flatMap(resultTable),
  ].join("\n");
}

function rateRows(results: readonly MicroResult[]): string[][] {
  return RATE_TARGETS.flatMap(([name, cello, others, atLeast]) => {
    const result = results.find((one) => one.name === name);
    const own = valuesOf(result, cello);
    const fastest = others
      .map((other) => ({ other, values: valuesOf(result, other) ?? [] }))
      .sort((a, b) => median(a.values) - median(b.values))[0];
    if (result === undefined || own === undefined || fastest === undefined) return [];
    const ratio = medianRatio(fastest.values, own);
    return [[`${result.title}: rate against ${fastest.other}`, `>= ${atLeast} x`, verdict(ratio, ratio >= atLeast)]];
  });
}

function bytesRows(results: readonly MicroResult[]): string[][] {
  return BYTES_TARGETS.flatMap(([name, cello, atMost]) => {
    const result = results.find((one) => one.name === name);
    const own = valuesOf(result, cello);
    if (result === undefined || own === undefined) return [];
    const bytes = median(own);
    const got = `${bytes.toFixed(1)} bytes${bytes <= atMost ? "" : " (missed)"}`;
    return [[`${result.title}, ${cello}`, `<= ${atMost} bytes`, got]];
  });
}

function valuesOf(result: MicroResult | undefined, contender: string): readonly number[] | undefined {
  return result?.contenders.find((one) => one.contender === contender)?.values;
}

function resultTable({ title, name, mode, contenders }: MicroResult): string[] {
  const [first] = contenders;
  const unit = mode === "bytes" ? "bytes/key" : "CPU ns";
  const against = first?.contender ?? "";
  const rows = contenders.map(({ contender, values }) => [
    contender,
    median(values).toFixed(mode === "bytes" ? 1 : 0),
    spread(values),
    `${medianRatio(values, first?.values ?? []).toFixed(2)} x`,
  ]);
  const columns = ["contender", unit, "lowest-highest", `against ${against}`];
  return [`## ${title}`, "", `\`${name}\``, "", ...table(columns, 1, rows)];
}
