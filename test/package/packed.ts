import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../", import.meta.url));

export const compiler = join(repository, "node_modules/typescript/bin/tsc");

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export const manifest: Manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

/**
 * Builds into a folder of its own and packs that: the repository's dist/ may be stale, or in use by
 * another test.
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
  const project = join(repository, "tsconfig.build.json");
  await run(process.execPath, [compiler, "-p", project, "--outDir", join(staging, "dist")]);
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json"], { cwd: staging });
  return join(staging, packedName(stdout));
}

/** Lays the content of a tarball into `node_modules` of a folder, without what it depends on. */
export async function unpackInto(folder: string, tarball: string): Promise<void> {
  const target = join(folder, "node_modules", manifest.name);
  mkdirSync(target, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
}

/** The name of the tarball; npm prints a list of packages, or (since 11) a record by name. */
function packedName(output: string): string {
  const name = /"filename":\s*"([^"]+\.tgz)"/.exec(output)?.[1];
  if (name === undefined) throw new Error(`npm pack did not say what it made: ${output}`);
  return name;
}
