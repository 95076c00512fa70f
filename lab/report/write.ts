import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import type { LabRun } from "../result.js";
import { summaryOf, tablesOf, withSummary } from "./markdown.js";

const RESULTS = new URL("../results/", import.meta.url);
const DOCUMENT = new URL("../../docs/adaptive.md", import.meta.url);

/** The plots of a run as SVG, by file name. */
export type Draw = (run: LabRun) => Promise<Readonly<Record<string, string>>>;

/**
 * Writes a run as JSON, tables and plots, and its summary into the documentation. What draws is given, since it
 * needs the lab's own packages.
 */
export async function writeReport(run: LabRun, draw: Draw, folder = RESULTS, document = DOCUMENT): Promise<void> {
  await mkdir(folder, { recursive: true });
  // The figures first: whatever the plots do, half an hour of measuring is not lost.
  await writeFile(new URL("lab.json", folder), `${JSON.stringify(run, null, 1)}\n`);
  await writeFile(new URL("lab.md", folder), `# The overload lab\n\n${tablesOf(run)}`);
  for (const [name, svg] of Object.entries(await draw(run))) await writeFile(new URL(name, folder), `${svg}\n`);
  if (existsSync(document)) await writeFile(document, withSummary(readFileSync(document, "utf8"), summaryOf(run)));
}
