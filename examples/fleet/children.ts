import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

const running = new Set<ChildProcess>();
const folders = new Set<string>();

/**
 * Leaves nothing behind, however this process ends: after its work, by an error, or by Ctrl+C. What
 * happens on exit cannot wait, so children are killed rather than asked.
 */
export function cleanUpOnExit(): void {
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** A child that does not outlive this process. */
export function adopt<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  child.once("exit", () => running.delete(child));
  // A program that is not there has no exit.
  child.once("error", () => running.delete(child));
  return child;
}

/** Ends a child at once and waits for its end. */
export async function kill(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** A folder that is removed with this process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "cello-fleet-"));
  folders.add(folder);
  return folder;
}
