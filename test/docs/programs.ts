import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { CodeBlock, Page } from "./documents.js";
import { repository } from "./documents.js";

const folder = join(repository, "node_modules/.cache/cello/docs-blocks");
const compiler = join(repository, "node_modules/typescript/bin/tsc");

/** A `ts` block as a file that can be compiled and run. */
export interface Program {
  readonly block: CodeBlock;
  readonly file: string;
  readonly isRun: boolean;
}

/**
 * The `ts` blocks of a page as programs. One that continues the block before it (`<!-- continues -->`)
 * begins with all that stands there.
 */
export function programsOf(page: Page): readonly Program[] {
  let before = "";
  return page.blocks
    .filter((block) => block.language === "ts")
    .map((block) => {
      const text = block.markers.includes("continues") ? `${before}\n${block.text}` : block.text;
      before = text;
      const file = join(folder, `${block.place.replaceAll(/[^\w-]+/g, "_")}.ts`);
      mkdirSync(folder, { recursive: true });
      // Without an import or export the block would be a script, and its names those of all scripts.
      writeFileSync(file, `${text}\nexport {};\n`);
      return { block, file, isRun: !block.flags.includes("no-run") };
    });
}

/** Removes the programs of earlier runs. */
export function clearPrograms(): void {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Compiles all programs at once, as strictly as the repository.
 *
 * @returns what the compiler says about each file; files without an entry are right
 */
export async function typeCheck(programs: readonly Program[]): Promise<ReadonlyMap<string, string>> {
  const config = {
    extends: relative(folder, join(repository, "tsconfig.json")),
    // A sample may show a parameter that it does not use.
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    files: programs.map((program) => program.file),
    include: [],
  };
  const configFile = join(folder, "tsconfig.json");
  writeFileSync(configFile, JSON.stringify(config, null, 2));
  const output = await compile(configFile);
  const messages = new Map<string, string>();
  let current = "";
  for (const line of output.split("\n")) {
    const named = programs.find((program) => line.includes(relative(repository, program.file)));
    if (named !== undefined) current = named.file;
    else if (/^\S+\(\d+,\d+\)/.test(line)) current = line;
    if (line.trim() !== "") messages.set(current, `${messages.get(current) ?? ""}${line}\n`);
  }
  return messages;
}

function compile(configFile: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [compiler, "-p", configFile, "--pretty", "false"],
      { cwd: repository },
      (_error, stdout) => resolve(stdout),
    );
  });
}
