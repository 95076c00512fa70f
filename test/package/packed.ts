import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../", import.meta.url));

const compiler = join(repository, "node_modules/typescript/bin/tsc");

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export const manifest: Manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

/**
 * Packs a copy of the repository: with its `dist/` if `npm test` has just built that, and compiled anew else, since it
 * may be stale.
 *
 * @param work a folder to build in
 * @returns the path of the tarball
 */
export async function pack(work: string): Promise<string> {
  const staging = mkdtempSync(join(work, "staging-"));
  // Of a pattern the whole folder: npm chooses among its files.
  const names = manifest.files.map((name) => name.replace(/\/\*.*$/, "")).filter((name) => name !== "dist");
  for (const name of new Set(["package.json", ...names])) {
    const source = join(repository, name);
    if (existsSync(source)) cpSync(source, join(staging, name), { recursive: true });
  }
  const dist = join(staging, "dist");
  if (process.env.CELLO_BUILT === "1") cpSync(join(repository, "dist"), dist, { recursive: true });
  else await run(process.execPath, [compiler, "-p", join(repository, "tsconfig.build.json"), "--outDir", dist]);
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json"], { cwd: staging });
  return join(staging, packedName(stdout));
}

/**
 * Lays the content of a tarball into `node_modules` of a folder, without what it depends on.
 *
 * @returns where it lies
 */
export async function unpackInto(folder: string, tarball: string): Promise<string> {
  const target = join(folder, "node_modules", manifest.name);
  mkdirSync(target, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
  return target;
}

/**
 * Stands packages of the repository beside what was unpacked, by links: what is not named is not found from there.
 *
 * @param modules the `node_modules` of a project
 */
export function linkInto(modules: string, names: readonly string[]): void {
  for (const name of names) {
    const link = join(modules, name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(repository, "node_modules", name), link, "dir");
  }
}

/** The name of the tarball; npm prints a list of packages, or (since 11) a record by name. */
function packedName(output: string): string {
  const name = /"filename":\s*"([^"]+\.tgz)"/.exec(output)?.[1];
  if (name === undefined) throw new Error(`npm pack did not say what it made: ${output}`);
  return name;
}

/** What stands in the `tsconfig.json` of a program. */
export interface CompilerProject {
  readonly files: readonly string[];
  readonly compilerOptions: object;
  readonly extends?: string;
}

/**
 * Compiles many programs in one run of the compiler. What one of them imports declares nothing for the others.
 *
 * @param folder where the files lie
 * @returns what the compiler says about each file, by its path; files without an entry are right
 */
export async function compileAll(
  folder: string,
  projects: readonly CompilerProject[],
): Promise<ReadonlyMap<string, string>> {
  const references = projects.map((project, index) => {
    const path = join(folder, `tsconfig.${index}.json`);
    writeFileSync(path, JSON.stringify({ ...project, include: [] }));
    return { path };
  });
  const all = join(folder, "tsconfig.all.json");
  writeFileSync(all, JSON.stringify({ files: [], references }));
  // Each checker of a program reads the same declarations again.
  const flags = ["--force", "--pretty", "false", "--checkers", "1", "--builders", "2"];
  const output = await run(process.execPath, [compiler, "-b", all, ...flags], {
    cwd: folder,
    maxBuffer: 100_000_000,
  }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? String(error),
  );
  const messages = new Map<string, string>();
  let file = "";
  for (const line of output.split("\n").filter((text) => text.trim() !== "")) {
    const named = /^(\S.*)\(\d+,\d+\): /.exec(line)?.[1];
    if (named !== undefined) file = resolve(folder, named);
    messages.set(file, `${messages.get(file) ?? ""}${line}\n`);
  }
  return messages;
}
