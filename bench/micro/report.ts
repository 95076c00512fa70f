import { mkdirSync, writeFileSync } from "node:fs";
import { median, medianRatio } from "../harness/statistics.js";
import type { MicroResult } from "./measure.js";

/** A whole run of the micro-benchmarks. */
export interface MicroRun {
  readonly date: string;
  readonly command: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly isPinned: boolean;
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

/** Writes name.json and name.md into a folder. */
export function writeMicroReport(run: MicroRun, folder: URL, name: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(run, null, 2)}\n`);
  writeFileSync(new URL(`${name}.md`, folder), microMarkdown(run));
}

/** The run as Markdown. */
export function microMarkdown(run: MicroRun): string {
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  return [
    "# Micro-benchmarks",
    "",
    `\`${run.command}\`, ${run.date.slice(0, 10)}, ${Object.values(run.machine).join(", ")}.`,
    `Each contender in processes of its own, ${run.rounds} interleaved rounds, medians of computing time${
      run.isPinned ? ", pinned to a core" : ""
    }; a ratio is the median of the ratios within a round.`,
    "",
    `Versions: ${versions.join(", ")}.`,
    "",
    ...targetTable(run.results),
    ...run.results.flatMap(resultTable),
  ].join("\n");
}

function targetTable(results: readonly MicroResult[]): string[] {
  const rows = [...rateRows(results), ...bytesRows(results)];
  return rows.length === 0 ? [] : ["## Figures", "", "| figure | target | got |", "|---|---|---|", ...rows, ""];
}

function rateRows(results: readonly MicroResult[]): string[] {
  return RATE_TARGETS.flatMap(([name, cello, others, atLeast]) => {
    const result = results.find((one) => one.name === name);
    const own = valuesOf(result, cello);
    const fastest = others
      .map((other) => ({ other, values: valuesOf(result, other) ?? [] }))
      .sort((a, b) => median(a.values) - median(b.values))[0];
    if (result === undefined || own === undefined || fastest === undefined) return [];
    const ratio = medianRatio(fastest.values, own);
    const missed = ratio >= atLeast ? "" : " (missed)";
    return [`| ${result.title}: rate against ${fastest.other} | >= ${atLeast} x | ${ratio.toFixed(2)} x${missed} |`];
  });
}

function bytesRows(results: readonly MicroResult[]): string[] {
  return BYTES_TARGETS.flatMap(([name, cello, atMost]) => {
    const result = results.find((one) => one.name === name);
    const own = valuesOf(result, cello);
    if (result === undefined || own === undefined) return [];
    const bytes = median(own);
    return [
      `| ${result.title}, ${cello} | <= ${atMost} bytes | ${bytes.toFixed(1)} bytes${bytes <= atMost ? "" : " (missed)"} |`,
    ];
  });
}

function valuesOf(result: MicroResult | undefined, contender: string): readonly number[] | undefined {
  return result?.contenders.find((one) => one.contender === contender)?.values;
}

function resultTable({ title, name, mode, contenders }: MicroResult): string[] {
  const [first] = contenders;
  const unit = mode === "bytes" ? "bytes/key" : "CPU ns";
  const rows = contenders.map(({ contender, values }) => {
    const spread = `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
    const ratio = medianRatio(values, first?.values ?? []);
    return `| ${contender} | ${median(values).toFixed(mode === "bytes" ? 1 : 0)} | ${spread} | ${ratio.toFixed(2)} x |`;
  });
  return [
    `## ${title}`,
    "",
    `\`${name}\``,
    "",
    `| contender | ${unit} | lowest-highest | against ${first?.contender ?? ""} |`,
    "|---|--:|--:|--:|",
    ...rows,
    "",
  ];
}
