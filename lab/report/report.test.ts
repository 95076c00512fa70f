import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { writeReport } from "../../bench/harness/suite.js";
import { PROTECTIONS, planTrials } from "../plan.js";
import type { LabRun, Slice, Trial, TrialResult } from "../result.js";
import { figuresOf, recoverySeconds, titleOf } from "./figures.js";
import { tablesOf, withSummary } from "./markdown.js";
import { reportOf } from "./report.js";

function slice(atSeconds: number, offered: number, good: number): Slice {
  return { atSeconds, offered, good, refused: offered - good, failed: 0, p95Ms: 20, limit: 50, concurrency: null };
}

function resultOf(trial: Trial, good: number): TrialResult {
  const counts = { offered: 1000, good, late: 0, refused: 1000 - good, failed: 0 };
  const slices = Array.from({ length: 60 }, (_, index) => slice(index / 2, 50, index >= 10 && index < 36 ? 10 : 50));
  const polite = { polite: { ...counts, good: trial.shape === "greedy" ? good - 50 : good } };
  return {
    ...trial,
    counts,
    measuredSeconds: 10,
    latencyMs: { p50: 10, p95: 40, p99: 80 },
    slices,
    ...(trial.shape === "greedy" || trial.shape === "polite" ? polite : {}),
    generatorCpu: 0.1,
  };
}

/** Ours give 900 good answers at 1 x and 810 at 10 x; the others half of it. */
function runOf(trials: readonly Trial[]): LabRun {
  const good = ({ protection, load }: Trial) => (load === 10 ? 810 : 900) / (protection.startsWith("cello") ? 1 : 2);
  return {
    date: "2026-01-02T03:04:05.000Z",
    machine: { cpu: "a machine" },
    isPinned: true,
    command: "npm run lab",
    versions: { node: "20" },
    baselines: (["cpu", "cpu-synchronous", "dependency", "memory"] as const).map((work) => ({
      work,
      capacity: 100,
      unloadedP95Ms: 15,
      unloadedP99Ms: 20,
      latencyThresholdMs: 100,
      goodWithinMs: 160,
    })),
    trials: trials.map((trial) => resultOf(trial, good(trial))),
    normalLoad: { tokenBucket: 1000, adaptive: 980, shedding: 960 },
  };
}

describe("the figures of a run", () => {
  it("are computed from the trials that they name", () => {
    const figures = figuresOf(runOf(planTrials())).map(({ wanted, got, isMet }) => [wanted, got, isMet]);
    expect(figures).toEqual([
      ["≥ 0.85 x", "0.9 x", true],
      ["≥ 0.85 x", "0.9 x", true],
      ["≥ 0.8 x", "0.9 x", true],
      ["≥ 1 x", "2 x", true],
      ["≥ 1 x", "2 x", true],
      ["≤ 5 x", "4 x", true],
      ["≤ 5 x", "4 x", true],
      ["≥ 0.9 x", "0.844 x", false],
      ["≥ 0.9 x", "0.844 x", false],
      ["≤ 10 s", "3 s", true],
      ["≤ 10 s", "3 s", true],
      ["≤ 0", "100", false],
      ["≤ 0", "100", false],
      ["≥ 0.97 x", "0.98 x", true],
      ["≥ 0.97 x", "0.96 x", false],
    ]);
  });

  it("say what was not measured", () => {
    const figures = figuresOf({ ...runOf([]), baselines: [] });
    expect(figures.filter(({ isMet }) => isMet === undefined)).toHaveLength(13);
  });

  it("tell a recovery that never comes", () => {
    const [trial] = runOf(planTrials({ shapes: ["step"] })).trials;
    if (trial === undefined) throw new Error("no step is planned");
    expect(
      recoverySeconds({
        ...trial,
        slices: trial.slices.map((each) => ({ ...each, good: each.atSeconds < 5 ? 50 : 9 })),
      }),
    ).toBeUndefined();
  });
});

describe("the report", () => {
  it("is written as JSON, tables and plots that name every protection, and into the document", async () => {
    const folder = pathToFileURL(`${mkdtempSync(join(tmpdir(), "cello-lab-"))}/`);
    const document = new URL("adaptive.md", folder);
    writeFileSync(document, "# Title\n\n<!-- lab -->\nan older run\n");
    const run = runOf(planTrials());
    await writeReport(reportOf(run, document), folder, "lab");
    const read = (name: string) => readFileSync(new URL(name, folder), "utf8");
    const lines = read("lab.jsonl")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(run.baselines.length + 1 + run.trials.length);
    const { slices: _, ...last } = run.trials.at(-1) ?? {};
    expect(lines.at(-1)).toEqual(last);
    const text = read("adaptive.md");
    expect(text).toContain("# Title");
    expect(text).not.toContain("an older run");
    expect(text).toContain("2026-01-02");
    for (const protection of PROTECTIONS) {
      expect(read("lab.md")).toContain(`| ${titleOf(protection)} |`);
      for (const plot of ["good-answers", "latency", "step", "greedy"]) {
        expect(read(`${plot}.svg`)).toMatch(/^<svg /);
        expect(read(`${plot}.svg`)).toContain(titleOf(protection));
      }
    }
  });

  it("leaves a document without the mark alone, and tells of an empty run", () => {
    expect(withSummary("text", "summary")).toBe("text");
    expect(tablesOf(runOf([]))).toContain("Not measured.");
  });
});
