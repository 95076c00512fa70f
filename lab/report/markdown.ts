import type { Baseline, LabRun, Trial, TrialResult } from "../result.js";
import { baselineOf, figuresOf, findTrial, titleOf } from "./figures.js";

/** The tables of a run. */
export function tablesOf(run: LabRun): string {
  const cell = (wanted: Partial<Trial>) => table(run, wanted);
  const cpu = { work: "cpu", shape: "steady" } as const;
  return [
    `From one run of \`${run.command}\` on ${run.date.slice(0, 10)} (${machine(run)}; ${versions(run)}).`,
    "",
    ...run.baselines.map(baselineLine),
    "",
    "A good answer is a 2xx within 4 x the unloaded p95 + `latencyThreshold`, counted from the moment at which the",
    "request was due. Clients do not wait for answers, do not heed `Retry-After`, and give up after 2 s. Steady loads are",
    "counted from their third second on.",
    "",
    "### The figures",
    "",
    "| figure | wanted | got | |",
    "|---|--:|--:|---|",
    ...figuresOf(run).map(({ title, wanted, got, isMet }) => `| ${title} | ${wanted} | ${got} | ${mark(isMet)} |`),
    "",
    "### CPU work, 50 clients",
    "",
    ...[0.5, 1, 2, 5, 10].flatMap((load) => [`At ${load} x the capacity:`, "", ...cell({ ...cpu, clients: 50, load })]),
    "### CPU work, 1,000 clients",
    "",
    ...[1, 10].flatMap((load) => [`At ${load} x the capacity:`, "", ...cell({ ...cpu, clients: 1000, load })]),
    "### CPU work, 1 client, 10 x",
    "",
    ...cell({ ...cpu, clients: 1, load: 10 }),
    "### CPU work in the handler at once, 50 clients, 10 x",
    "",
    ...cell({ work: "cpu-synchronous", load: 10 }),
    "### A slow dependency, 50 clients",
    "",
    ...[1, 2, 10].flatMap((load) => [`At ${load} x the capacity:`, "", ...cell({ work: "dependency", load })]),
    "### Memory, 50 clients, 2 x",
    "",
    ...cell({ work: "memory" }),
    "### A step: 0.5 x, ten seconds of 10 x, 0.5 x",
    "",
    ...cell({ work: "cpu", shape: "step" }),
    "### Nine polite clients, alone and beside a greedy one",
    "",
    "The rates are of the polite ones.",
    "",
    ...politeTable(run),
  ].join("\n");
}

function politeTable(run: LabRun): readonly string[] {
  const trials = run.trials.filter(({ shape }) => shape === "greedy");
  const share = (trial: TrialResult | undefined) =>
    trial?.polite === undefined ? "" : (trial.polite.good / trial.polite.offered).toFixed(3);
  return [
    "| protection | good answers alone, share of offered | beside the greedy one |",
    "|---|--:|--:|",
    ...trials.map((trial) => {
      const alone = findTrial(run, { work: "cpu", shape: "polite", protection: trial.protection });
      return `| ${titleOf(trial.protection)} | ${share(alone)} | ${share(trial)} |`;
    }),
    "",
  ];
}

function table(run: LabRun, wanted: Partial<Trial>): readonly string[] {
  const trials = run.trials.filter((trial) =>
    Object.entries(wanted).every(([field, value]) => Reflect.get(trial, field) === value),
  );
  if (trials.length === 0) return ["Not measured.", ""];
  return [
    "| protection | offered/s | good/s | of the capacity | late/s | refused/s | failed/s | p50 | p95 | p99 ms |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ...trials.map((trial) => row(trial, baselineOf(run, trial.work))),
    "",
  ];
}

function row(trial: TrialResult, baseline: Baseline | undefined): string {
  const { counts, latencyMs, measuredSeconds } = trial;
  const rate = (count: number) => (count / measuredSeconds).toFixed(1);
  const share = baseline === undefined ? "" : (counts.good / measuredSeconds / baseline.capacity).toFixed(2);
  const latencies = [latencyMs.p50, latencyMs.p95, latencyMs.p99].map((ms) => ms.toFixed(0));
  const ends = [counts.late, counts.refused, counts.failed].map(rate);
  return `| ${[titleOf(trial.protection), rate(counts.offered), rate(counts.good), share, ...ends, ...latencies].join(" | ")} |`;
}

function baselineLine({ work, capacity, unloadedP95Ms, unloadedP99Ms, goodWithinMs }: Baseline): string {
  const unloaded = `unloaded p95 ${unloadedP95Ms.toFixed(1)} ms, p99 ${unloadedP99Ms.toFixed(1)} ms`;
  return `- \`${work}\`: capacity ${capacity.toFixed(0)} requests/s, ${unloaded}; good within ${goodWithinMs.toFixed(0)} ms`;
}

function machine(run: LabRun): string {
  const place = run.isPinned ? "server on core 0, load on core 1" : "not pinned";
  return [...Object.values(run.machine), place].join(", ");
}

function versions(run: LabRun): string {
  return Object.entries(run.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
}

function mark(isMet: boolean | undefined): string {
  if (isMet === undefined) return "";
  return isMet ? "met" : "**not met**";
}

/** What docs/adaptive.md shows: the figures, and the plots. */
export function summaryOf(run: LabRun): string {
  const tables = tablesOf(run);
  const untilDetails = tables.slice(0, tables.indexOf("### CPU work, 50 clients"));
  const plots = [
    ["Good answers against what was offered, CPU work, 50 clients", "good-answers"],
    ["Latency of admitted requests, CPU work, 50 clients", "latency"],
    ["A step to ten times the capacity and back", "step"],
    ["Nine polite clients beside a greedy one", "greedy"],
  ].map(([title, name]) => `![${title}](../lab/results/${name}.svg)\n`);
  return `\n${untilDetails}\n${plots.join("\n")}\nAll tables are in [lab/results/lab.md](../lab/results/lab.md).\n`;
}

/** The document with the part after the mark replaced. */
export function withSummary(document: string, summary: string): string {
  const mark = "<!-- lab -->";
  const at = document.indexOf(mark);
  return at === -1 ? document : `${document.slice(0, at + mark.length)}\n${summary}`;
}
