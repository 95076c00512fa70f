import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Reads a small text file; `undefined` when it is not there or may not be read. */
export type TextReader = (path: string) => string | undefined;

/** The control groups of this process, as the kernel shows them under `/proc` and `/sys`. */
export interface CgroupLimits {
  /** CPUs' worth of time that the quota grants; `undefined` without a quota. */
  readonly cpuQuota: number | undefined;
  /** CPUs in the cpuset; `undefined` when it is not known. */
  readonly cpusetSize: number | undefined;
  /** Bytes; `undefined` without a limit. */
  readonly memoryLimit: number | undefined;
}

/** Version 1 writes "no limit" as the largest page-aligned number; nothing real comes near. */
const NO_MEMORY_LIMIT = 2 ** 60;

/**
 * Reads what the container grants, from cgroup version 2 or 1.
 *
 * A limit anywhere above the process's own group holds too, so each group up to the root is read
 * and the smallest wins. Inside a container the path in `/proc/self/cgroup` may be the host's and
 * not exist here; then the root of the mount is the container's own group.
 *
 * @param root the root of the file system; tests give their own tree
 * @param read how to read a file
 */
export function readCgroupLimits(root = "/", read: TextReader = readText): CgroupLimits {
  const memberships = read(join(root, "proc/self/cgroup"));
  const groups = parseMemberships(memberships ?? "");
  const mount = join(root, "sys/fs/cgroup");
  const unified = groups.get("");
  const v2 = unified === undefined ? [] : ancestors(mount, unified);
  return {
    cpuQuota: smallest([
      ...v2.map((group) => parseCpuMax(read(join(group, "cpu.max")))),
      ...v1Groups(mount, groups, "cpu").map((group) => readV1Quota(group, read)),
    ]),
    cpusetSize: smallest([
      ...v2.map((group) => countCpus(read(join(group, "cpuset.cpus.effective")))),
      ...v1Groups(mount, groups, "cpuset").map((group) =>
        countCpus(read(join(group, "cpuset.effective_cpus")) ?? read(join(group, "cpuset.cpus"))),
      ),
    ]),
    memoryLimit: smallest([
      ...v2.flatMap((group) => [
        parseBytes(read(join(group, "memory.max"))),
        parseBytes(read(join(group, "memory.high"))),
      ]),
      ...v1Groups(mount, groups, "memory").map((group) => parseBytes(read(join(group, "memory.limit_in_bytes")))),
    ]),
  };
}

/** Lines `id:controllers:path`; version 2 is the one without controllers. */
function parseMemberships(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line.trim());
    const path = match?.[2];
    if (path === undefined) continue;
    for (const controller of (match?.[1] ?? "").split(",")) groups.set(controller, path);
  }
  return groups;
}

function v1Groups(mount: string, groups: ReadonlyMap<string, string>, controller: string): readonly string[] {
  const path = groups.get(controller);
  if (path === undefined) return [];
  // Controllers that are mounted together have one folder under either name.
  const folders = controller === "cpu" ? ["cpu", "cpu,cpuacct", "cpuacct,cpu"] : [controller];
  return folders.flatMap((folder) => ancestors(join(mount, folder), path));
}

/** A group's folder and all above it, up to the mount. `..` (a group outside) leads nowhere. */
function ancestors(mount: string, path: string): readonly string[] {
  const folders = [mount];
  let folder = mount;
  for (const part of path.split("/")) {
    if (part === "") continue;
    if (part === "..") break;
    folder = join(folder, part);
    folders.push(folder);
  }
  return folders;
}

/** `max 100000` or `150000 100000`: microseconds in each period. */
function parseCpuMax(text: string | undefined): number | undefined {
  const match = /^(\d+) (\d+)$/.exec(text?.trim() ?? "");
  return match === null ? undefined : ratio(Number(match[1]), Number(match[2]));
}

function readV1Quota(group: string, read: TextReader): number | undefined {
  const quota = Number(read(join(group, "cpu.cfs_quota_us"))?.trim());
  const period = Number(read(join(group, "cpu.cfs_period_us"))?.trim());
  return ratio(quota, period);
}

function ratio(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 && Number.isFinite(quota / period) ? quota / period : undefined;
}

/** `0-3,7`: the number of CPUs in such a list. */
function countCpus(text: string | undefined): number | undefined {
  const list = text?.trim() ?? "";
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) return undefined;
  let count = 0;
  for (const range of list.split(",")) {
    const [first, last] = range.split("-").map(Number);
    count += Math.max(0, (last ?? first ?? 0) - (first ?? 0) + 1);
  }
  return count > 0 ? count : undefined;
}

function parseBytes(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  if (!/^\d+$/.test(trimmed)) return undefined;
  const bytes = Number(trimmed);
  return bytes > 0 && bytes < NO_MEMORY_LIMIT ? bytes : undefined;
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  let least: number | undefined;
  for (const value of values) {
    if (value !== undefined && (least === undefined || value < least)) least = value;
  }
  return least;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
