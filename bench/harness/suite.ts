import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { versions } from "./install.js";
import { machine, type Placement, placement } from "./machine.js";

/** Where and how something was measured: the head of every report. */
export interface RunHead {
  readonly date: string;
  readonly command: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly isPinned: boolean;
}

/** What a run leaves behind. */
export interface Report {
  readonly markdown: string;
  /** One line of JSON each. Single requests, slices of time and the like are not kept. */
  readonly trials: readonly object[];
  /** SVG by file name, drawn when the figures are written: whatever the plots do, no measurement is lost. */
  readonly plots?: () => Promise<Readonly<Record<string, string>>>;
}

/** An option of the command line. */
export interface SuiteOption {
  /** What it takes, as `--help` shows it; a switch when not given. */
  readonly takes?: string;
  readonly help: string;
  readonly default?: string;
  /** Whether the run is only a part of the suite when it is given. */
  readonly isPart?: boolean;
}

/** Measurements that one command runs. */
export interface Suite {
  /** Such as `npm run bench:micro`. */
  readonly command: string;
  readonly options: Readonly<Record<string, SuiteOption>>;
  /** More for `--help`. */
  readonly note?: string;
  /** The package whose dependencies are measured. */
  readonly folder: URL;
  /** Without its ending: `results/micro`. A part of a run is written beside it, as `results/micro-partial`. */
  readonly output: string;
  /** Measures, and makes the report; nothing is written without one. */
  run(context: SuiteRun): Promise<Report | undefined>;
}

/** Options of a suite that measures processes for some milliseconds, in rounds. */
export function roundOptions(of: string, durationMs: number, warmupMs: number) {
  return {
    rounds: { takes: "number", help: `of each ${of}`, default: "5" },
    duration: { takes: "ms", help: "of each measurement", default: String(durationMs) },
    warmup: { takes: "ms", help: "before each measurement", default: String(warmupMs) },
  };
}

/** Where bench/ is. */
export const BENCH = new URL("../", import.meta.url);

/** One run of a suite: its command line, its place on the machine, its head. */
export class SuiteRun {
  readonly placement: Placement = placement();
  readonly isPart: boolean;

  constructor(
    readonly suite: Suite,
    readonly args: readonly string[],
    readonly values: Readonly<Record<string, string | boolean | undefined>>,
  ) {
    this.isPart = Object.entries(suite.options).some(([name, { isPart }]) => isPart && values[name] !== undefined);
    if (!this.placement.isPinned) console.error("no two cores to pin to: processes share them, figures are rough");
  }

  /** A line about what goes on. */
  readonly report = (line: string): void => console.error(line);

  text(name: string): string | undefined {
    const value = this.values[name];
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): readonly string[] | undefined {
    return this.text(name)?.split(",");
  }

  isOn(name: string): boolean {
    return this.values[name] === true;
  }

  /** @throws Error when it is no whole number above 0 */
  count(name: string): number {
    const text = this.text(name);
    const value = Number(text);
    if (Number.isInteger(value) && value > 0) return value;
    throw new Error(`--${name} ${text}: a whole number above 0`);
  }

  /** What {@link roundOptions} were given, and where and to whom to tell it. */
  rounds() {
    const { placement, report } = this;
    const [rounds, measureMs, warmupMs] = [this.count("rounds"), this.count("duration"), this.count("warmup")];
    return { placement, report, rounds, measureMs, warmupMs };
  }

  /** To be asked for when everything is installed. */
  head(): RunHead {
    const { suite, args } = this;
    return {
      date: new Date().toISOString(),
      command: [suite.command, ...(args.length > 0 ? ["--", ...args] : [])].join(" "),
      machine: machine(),
      versions: versions(suite.folder),
      isPinned: this.placement.isPinned,
    };
  }
}

/** Runs a suite as its command line says, and writes and prints its report. */
export async function runSuite(suite: Suite, args: readonly string[]): Promise<void> {
  const options: Record<string, { type: "string" | "boolean"; default?: string }> = {
    output: { type: "string" },
    help: { type: "boolean" },
  };
  for (const [name, { takes, default: fallback }] of Object.entries(suite.options)) {
    options[name] = takes === undefined ? { type: "boolean" } : { type: "string" };
    if (fallback !== undefined) options[name].default = fallback;
  }
  const given = Object.entries(parseArgs({ args: [...args], options }).values);
  const values = Object.fromEntries(given.map(([name, value]) => [name, Array.isArray(value) ? value.join() : value]));
  if (values.help) return console.info(helpOf(suite));
  const run = new SuiteRun(suite, args, values);
  const report = await suite.run(run);
  if (report === undefined) return;
  const output = run.text("output") ?? (run.isPart ? `${suite.output}-partial` : suite.output);
  await writeReport(report, new URL("results/", suite.folder), output);
  console.info(report.markdown);
}

/** Writes name.md, name.jsonl and the plots. */
export async function writeReport({ markdown, trials, plots }: Report, folder: URL, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.jsonl`, folder), trials.map((trial) => `${JSON.stringify(trial)}\n`).join(""));
  writeFileSync(new URL(`${name}.md`, folder), markdown);
  for (const [file, svg] of Object.entries((await plots?.()) ?? {})) writeFileSync(new URL(file, folder), svg);
}

function helpOf({ command, options, note, output }: Suite): string {
  const shown: Readonly<Record<string, SuiteOption>> = {
    ...options,
    output: { takes: "name", help: "of the report, in results/", default: output },
    help: { help: "" },
  };
  const lines = Object.entries(shown).map(([name, { takes, help, default: fallback }]) => {
    const left = `--${name}${takes === undefined ? "" : ` <${takes}>`}`;
    return `  ${left.padEnd(22)} ${help}${fallback === undefined ? "" : ` (default: ${fallback})`}`.trimEnd();
  });
  return [`${command} -- [options]`, "", ...(note === undefined ? [] : [note, ""]), ...lines].join("\n");
}

/** The first lines of a report. */
export function headLines(title: string, run: RunHead, how: string): string[] {
  const { command, date, machine, versions } = run;
  return [
    `# ${title}`,
    "",
    `\`${command}\`, ${date.slice(0, 10)}, ${Object.values(machine).join(", ")}.`,
    `${how} Medians; a ratio is the median of the ratios within a round.`,
    "",
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
    "",
  ];
}

/** A Markdown table; nothing when it has no rows. Columns after the first `texts` are numbers. */
export function table(columns: readonly string[], texts: number, rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, index) => (index < texts ? "---" : "--:")).join("|");
  return [line(columns), `|${rule}|`, ...rows.map(line), ""];
}

/** A figure for a line of results: four digits are all that a measurement is good for. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** The lowest and the highest of some rates. */
export function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
}

/** A figure against its target. */
export function verdict(value: number, isMet: boolean): string {
  return `${value.toFixed(2)} x${isMet ? "" : " (missed)"}`;
}
