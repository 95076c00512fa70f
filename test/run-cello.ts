import { spawn } from "node:child_process";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { run } from "../src/cli/main.js";
import { SHARED_MS, sharedPackage } from "./shared/shared.js";

/** For tests that start the command: the first of them may wait until it is compiled. */
export const patience = { timeout: SHARED_MS } as const;

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
}

/** Runs the command `cello` in this process. */
export async function runCello(
  args: readonly string[],
  { stdin = "", env = {} }: CommandSurroundings = {},
): Promise<CommandResult> {
  const written = { stdout: "", stderr: "" };
  const exitCode = await run(args, {
    stdin: Readable.from(stdin === "" ? [] : [stdin]),
    stdout: { write: (chunk) => (written.stdout += chunk) },
    stderr: { write: (chunk) => (written.stderr += chunk) },
    env,
  });
  return { ...written, exitCode };
}

/** Runs the built command in a process of its own. */
export async function spawnCello(
  args: readonly string[],
  { stdin = "", env, cwd }: CommandSurroundings & { readonly cwd?: string } = {},
): Promise<CommandResult> {
  const main = join((await sharedPackage()).folder, "dist/cli/main.js");
  const child = spawn(process.execPath, [main, ...args], { env: { PATH: process.env.PATH ?? "", ...env }, cwd });
  const exitCode = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  // A command that does not read its input may be gone before we have written it.
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr, exitCode: await exitCode };
}
