import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Report } from "../../bench/harness/suite.js";
import type { LabRun } from "../result.js";
import { drawCharts } from "./charts.js";
import { summaryOf, tablesOf, withSummary } from "./markdown.js";

const DOCUMENT = new URL("../../docs/adaptive.md", import.meta.url);

/** Tables, a line for each baseline and trial, and plots; the summary goes into the documentation. */
export function reportOf(run: LabRun, document = DOCUMENT): Report {
  const trials = run.trials.map(({ slices: _, ...trial }) => trial);
  if (existsSync(document)) writeFileSync(document, withSummary(readFileSync(document, "utf8"), summaryOf(run)));
  return {
    markdown: `# The overload lab\n\n${tablesOf(run)}`,
    trials: [...run.baselines, { normalLoad: run.normalLoad }, ...trials],
    plots: () => drawCharts(run),
  };
}
