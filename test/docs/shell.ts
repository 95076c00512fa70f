import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedPackage } from "../shared/shared.js";
import { repository } from "./documents.js";

const scripts = Object.keys(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).scripts);

/** What stands in for programs that a test must not really run; `main` is the built command. */
const standIns = (main: string): Readonly<Record<string, string>> => ({
  // Every script that a page names must be there; none is run.
  npm: `script="$1"
    case "$script" in ci|install|pack) exit 0 ;; run) script="$2" ;; esac
    case "$script" in ${scripts.join("|")}) exit 0 ;; esac
    echo "no npm script $script" >&2; exit 1`,
  npx: `[ "$1" = cello ] || { echo "npx $1 is not known here" >&2; exit 1; }; shift; exec cello "$@"`,
  cello: `exec "${process.execPath}" "${main}" "$@"`,
  curl: "exit 0",
  git: "exit 0",
});

/**
 * Runs a `sh` block, stopping at the first command that fails, in a folder of its own. The `cello`
 * command is the real one; npm only looks whether its scripts exist.
 *
 * @returns the exit code, and what was printed
 */
export async function runShell(
  script: string,
  folder: string,
): Promise<{ readonly exitCode: number | null; readonly output: string }> {
  const main = join((await sharedPackage()).folder, "dist/cli/main.js");
  const programs = join(folder, ".programs");
  mkdirSync(programs, { recursive: true });
  for (const [name, text] of Object.entries(standIns(main))) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(programs, name), 0o755);
  }
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-e", "-c", script], {
      cwd: folder,
      env: { ...process.env, PATH: `${programs}:/usr/bin:/bin` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, output }));
  });
}
