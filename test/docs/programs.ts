import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compileAll } from "../package/packed.js";
import { sharedPackage } from "../shared/shared.js";
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
 * a block does not import itself. Those that import the same packages are compiled together, as strictly as the
 * repository, whose sources are out of reach.
 *
 * @returns what the compiler says about each file; files without an entry are right
 */
export async function typeCheck(programs: readonly Program[]): Promise<ReadonlyMap<string, string>> {
  const modules = join(folder, "node_modules");
  mkdirSync(modules, { recursive: true });
  symlinkSync((await sharedPackage()).folder, join(modules, "cello"), "dir");
  const projects = [...byImports(programs)].map((group) => ({
    extends: relative(folder, join(repository, "tsconfig.json")),
    // A sample may show a parameter that it does not use.
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, paths: {} },
    files: group.map((program) => program.file),
  }));
  return compileAll(folder, projects);
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
