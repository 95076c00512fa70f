import { availableParallelism, totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { type CgroupLimits, readCgroupLimits } from "./cgroup.js";
import { type DelayReader, type LoopTime, loopTime, TimerDelays } from "./event-loop.js";

/** What the load is measured from. A figure that cannot be read is NaN. */
export interface Readings {
  /** CPUs' worth of time that this process may use. */
  readonly grantedCpus: number;
  /** CPU time that this process has used since it began, in milliseconds. */
  readonly cpuMs: () => number;
  readonly memoryShare: () => number;
  readonly loopTime: () => LoopTime;
  readonly delays: DelayReader;
}

/** The readings of this process, by what its container and its machine grant. */
export function processReadings(): Readings {
  const cgroup = readCgroupLimits();
  const limits = memoryLimits(cgroup);
  return {
    grantedCpus: grantedCpus(cgroup),
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    memoryShare: () => memoryShare(processMemory(), limits),
    loopTime,
    delays: new TimerDelays(),
  };
}

/**
 * CPUs' worth of time that this process may use: the least of quota, cpuset and machine. A quota of
 * half a CPU is 0.5.
 */
export function grantedCpus(cgroup: CgroupLimits, machineCpus = availableParallelism()): number {
  return Math.max(0.001, Math.min(cgroup.cpuQuota ?? Infinity, cgroup.cpusetSize ?? Infinity, machineCpus));
}

/** Bytes of memory: what a process uses, or where that ends. */
export interface MemoryBytes {
  /** All of its memory; it ends with the control group's limit or that of the machine. */
  readonly residentBytes: number;
  /** Its JavaScript heap; it ends where the process is ended. */
  readonly heapBytes: number;
}

export function processMemory(): MemoryBytes {
  return { residentBytes: process.memoryUsage.rss(), heapBytes: getHeapStatistics().used_heap_size };
}

export function memoryLimits(
  cgroup: CgroupLimits,
  machineBytes = totalmem(),
  heapBytes = getHeapStatistics().heap_size_limit,
): MemoryBytes {
  return { residentBytes: Math.min(cgroup.memoryLimit ?? Infinity, machineBytes), heapBytes };
}

/** The share in use of whichever limit is nearest, 0 to 1. */
export function memoryShare(use: MemoryBytes, limits: MemoryBytes): number {
  return Math.max(use.residentBytes / limits.residentBytes, use.heapBytes / limits.heapBytes);
}

/**
 * The share of something that grows in another thing that grows, since it was last asked.
 *
 * @returns takes both as they are now; the last answer again when no more was granted since, and NaN when that
 *   cannot be read
 */
export function shareMeter(used: number, granted: number): (used: number, granted: number) => number {
  let last = { used, granted, share: 0 };
  return (usedNow, grantedNow) => {
    const grantedSince = grantedNow - last.granted;
    if (grantedSince <= 0) return last.share;
    last = { used: usedNow, granted: grantedNow, share: Math.max(0, (usedNow - last.used) / grantedSince) };
    return last.share;
  };
}
