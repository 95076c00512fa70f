import { execFile, spawn } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll } from "vitest";

const repository = fileURLToPath(new URL("../", import.meta.url));
// Inside the repository, so that the command finds its dependencies.
const compiled = join(repository, `node_modules/.cache/cello/command-${process.pid}`);
const main = join(compiled, "dist/cli/main.js");

// Compiled once for a test file: translating it in each of its many processes would take most of the time.
beforeAll(async () => {
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  const project = join(repository, "tsconfig.build.json");
  const options = ["--outDir", join(compiled, "dist"), "--declaration", "false"];
  await promisify(execFile)(process.execPath, [compiler, "-p", project, ...options]);
  cpSync(join(repository, "package.json"), join(compiled, "package.json"));
}, 120_000);

afterAll(() => {
  rmSync(compiled, { recursive: true, force: true });
});

/** Every run is a process of its own, and a machine that runs all tests at once starts them slowly. */
export const patience = { timeout: 60_000 } as const;

/** What a run of the command left behind. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** What the command finds around it. */
export interface CommandSurroundings {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs the real `cello` command in a process of its own. */
export function runCello(args: readonly string[], around: CommandSurroundings = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env.PATH ?? "", ...around.env },
      cwd: around.cwd,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ stdout, stderr, exitCode }));
    // A command that does not read its input may be gone before we have written it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(around.stdin ?? "");
  });
}
