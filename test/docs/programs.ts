import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { compiler, pack, unpackInto } from "../package/packed.js";
import type { CodeBlock, Page } from "./documents.js";
import { repository } from "./documents.js";

const folder = join(repository, "node_modules/.cache/cello/docs-blocks");

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
 * Compiles the programs as their readers do: against the packed package, and with nothing loaded that
 * a block does not import itself. Those that import the same packages are compiled together.
 *
 * @returns what the compiler says about each file; files without an entry are right
 */
export async function typeCheck(programs: readonly Program[]): Promise<ReadonlyMap<string, string>> {
  await unpackInto(folder, await pack(folder));
  const messages = new Map<string, string>();
  for (const group of byImports(programs)) {
    let current = "";
    for (const line of (await compile(group)).split("\n")) {
      const named = group.find((program) => line.includes(basename(program.file)));
      if (named !== undefined) current = named.file;
      else if (/^\S+\(\d+,\d+\)/.test(line)) current = line;
      if (line.trim() !== "") messages.set(current, `${messages.get(current) ?? ""}${line}\n`);
    }
  }
  return messages;
}

/** A package that is imported declares types for all files that are compiled with it. */
function byImports(programs: readonly Program[]): Iterable<readonly Program[]> {
  const groups = new Map<string, Program[]>();
  for (const program of programs) {
    const specifiers = [...readFileSync(program.file, "utf8").matchAll(/\bfrom "([^"]+)"/g)].map(([, name]) => name);
    const key = [...new Set(specifiers)].sort().join(" ");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [program]);
    else group.push(program);
  }
  return groups.values();
}

/** As strictly as the repository, whose sources are out of reach. */
function compile(programs: readonly Program[]): Promise<string> {
  const config = {
    extends: relative(folder, join(repository, "tsconfig.json")),
    // A sample may show a parameter that it does not use.
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, paths: {} },
    files: programs.map((program) => program.file),
    include: [],
  };
  const configFile = join(folder, "tsconfig.json");
  writeFileSync(configFile, JSON.stringify(config, null, 2));
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "-p", configFile, "--pretty", "false"], { cwd: folder }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}
