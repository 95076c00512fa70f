import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BENCH = new URL("../", import.meta.url);
const ROOT = new URL("../../", import.meta.url);

/** Installs the peers into bench/node_modules where they are missing, and builds dist/ where it is missing or old. */
export function prepare(): void {
  installPackage(BENCH);
  buildCello();
}

/** Installs what a folder's package-lock.json names, where that is missing or old. */
export function installPackage(folder: URL): void {
  const installed = new URL("node_modules/.package-lock.json", folder);
  const isCurrent =
    existsSync(installed) && statSync(installed).mtimeMs >= statSync(new URL("package-lock.json", folder)).mtimeMs;
  if (!isCurrent) run("npm", ["ci", "--no-audit", "--no-fund", "--prefix", fileURLToPath(folder)]);
}

/** Builds dist/ where it is missing or old. */
export function buildCello(): void {
  if (!isBuilt()) run("npm", ["run", "build", "--prefix", fileURLToPath(ROOT)]);
}

/** Whether dist/ is newer than every source: numbers of an old build would be worse than none. */
function isBuilt(): boolean {
  const built = new URL("dist/index.js", ROOT);
  if (!existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  const sources = readdirSync(new URL("src/", ROOT), { recursive: true, encoding: "utf8" });
  return sources.every(
    (file) => file.endsWith(".test.ts") || statSync(new URL(`src/${file}`, ROOT)).mtimeMs <= builtAt,
  );
}

/** The installed versions of what is measured, of a folder's package; Cello's from its own package.json. */
export function versions(folder: URL = BENCH): Record<string, string> {
  const manifest = readJson(new URL("package.json", folder));
  const cello = readJson(new URL("package.json", ROOT));
  const found: Record<string, string> = { node: process.versions.node, cello: String(cello.version) };
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    found[name] = String(readJson(new URL(`node_modules/${name}/package.json`, folder)).version);
  }
  return found;
}

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Record<string, string>;
}

function readJson(file: URL): Manifest {
  return JSON.parse(readFileSync(file, "utf8"));
}

function run(command: string, args: readonly string[]): void {
  console.error(`$ ${command} ${args.join(" ")}`);
  execFileSync(command, args, { stdio: ["ignore", 2, 2] });
}
