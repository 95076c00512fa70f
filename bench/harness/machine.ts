import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";

/** Where processes run: servers and load on cores of their own, where the system lets us choose. */
export interface Placement {
  /** Words that go before the command of a server, or none. */
  readonly server: readonly string[];
  /** Words that go before the command of a load generator, or none. */
  readonly load: readonly string[];
  readonly isPinned: boolean;
}

/** Pins with `taskset` when it works and there are two cores. */
export function placement(): Placement {
  const pins = (core: number): readonly string[] => ["taskset", "-c", String(core)];
  const works = [0, 1].every((core) => spawnSync("taskset", ["-c", String(core), "true"]).status === 0);
  if (!works || availableParallelism() < 2) return { server: [], load: [], isPinned: false };
  return { server: pins(0), load: pins(1), isPinned: true };
}

/** The machine, for the head of the results. */
export function machine(): Record<string, string> {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: `${availableParallelism()} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
  };
}

/** Whether a command is installed. */
export function hasCommand(command: string, args: readonly string[]): boolean {
  return spawnSync(command, [...args]).error === undefined;
}

/**
 * How long a process has computed, all its threads together, in milliseconds; `undefined` where the system does
 * not tell. Unlike requests per second it hardly moves when something else takes the core away.
 */
export function cpuMs(pid: number | undefined): number | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanoseconds = threads.map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ", 1)[0]),
    );
    return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e6;
  } catch {
    return undefined;
  }
}
