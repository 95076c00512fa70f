import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
// Resolved from here, because the command may run in a folder that has no node_modules.
const tsx = import.meta.resolve("tsx");

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

/** Runs the real `cello` command from the sources in a process of its own. */
export function runCello(args: readonly string[], around: CommandSurroundings = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", tsx, main, ...args], {
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
