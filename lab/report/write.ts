import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import type { LabRun } from "../result.js";
import { drawCharts } from "./charts.js";
import { summaryOf, tablesOf, withSummary } from "./markdown.js";

const RESULTS = new URL("../results/", import.meta.url);
const DOCUMENT = new URL("../../docs/adaptive.md", import.meta.url);

/** Writes a run as JSON, tables and plots, and its summary into the documentation. */
export async function writeReport(run: LabRun, folder = RESULTS, document = DOCUMENT): Promise<void> {
  await mkdir(folder, { recursive: true });
  // The figures first: whatever the plots do, half an hour of measuring is not lost.
  await writeFile(new URL("lab.json", folder), `${JSON.stringify(run, null, 1)}\n`);
  await writeFile(new URL("lab.md", folder), `# The overload lab\n\n${tablesOf(run)}`);
  for (const [name, svg] of Object.entries(await drawCharts(run))) await writeFile(new URL(name, folder), `${svg}\n`);
  if (existsSync(document)) await writeFile(document, withSummary(readFileSync(document, "utf8"), summaryOf(run)));
}
