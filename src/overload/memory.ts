import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import type { CgroupLimits } from "./cgroup.js";

/** What a process uses of its memory, in bytes. */
export interface MemoryUse {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** Where memory ends, in bytes. */
export interface MemoryLimits {
  /** Of the control group, or all that the machine has. */
  readonly residentBytes: number;
  /** What the JavaScript heap may grow to before the process is ended. */
  readonly heapBytes: number;
}

/** Memory of this process now. */
export function processMemory(): MemoryUse {
  return { residentBytes: process.memoryUsage.rss(), heapBytes: getHeapStatistics().used_heap_size };
}

/** The limits of this process. */
export function memoryLimits(
  cgroup: CgroupLimits,
  machineBytes = totalmem(),
  heapBytes = getHeapStatistics().heap_size_limit,
): MemoryLimits {
  return { residentBytes: Math.min(cgroup.memoryLimit ?? Infinity, machineBytes), heapBytes };
}

/** The share in use of whichever limit is nearest, 0 to 1. */
export function memoryShare(use: MemoryUse, limits: MemoryLimits): number {
  return Math.max(use.residentBytes / limits.residentBytes, use.heapBytes / limits.heapBytes);
}
