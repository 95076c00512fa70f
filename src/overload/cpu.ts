import { availableParallelism } from "node:os";
import type { CgroupLimits } from "./cgroup.js";

/** CPU time that this process has used since it began, in milliseconds. */
export type CpuTimeReader = () => number;

/** CPU time of this process in user and system mode. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * CPUs' worth of time that this process may use: the least of quota, cpuset and machine. A quota of
 * half a CPU is 0.5.
 */
export function grantedCpus(cgroup: CgroupLimits, machineCpus = availableParallelism()): number {
  return Math.max(0.001, Math.min(cgroup.cpuQuota ?? Infinity, cgroup.cpusetSize ?? Infinity, machineCpus));
}

/** Turns CPU time into a share of the grant: 0 is idle, 1 is all that the process may use. */
export class CpuMeter {
  #lastCpuMs: number;
  #lastAtMs: number;
  #share = 0;

  /**
   * @param granted CPUs' worth of time that may be used
   * @param nowMs the monotonic clock now
   * @param read the process's CPU time
   */
  constructor(
    readonly granted: number,
    nowMs: number,
    readonly read: CpuTimeReader = processCpuMs,
  ) {
    this.#lastCpuMs = read();
    this.#lastAtMs = nowMs;
  }

  /** The share since the last call; the last answer again when no time has passed. */
  sample(nowMs: number): number {
    const elapsedMs = nowMs - this.#lastAtMs;
    if (elapsedMs <= 0) return this.#share;
    const cpuMs = this.read();
    this.#share = Math.max(0, (cpuMs - this.#lastCpuMs) / (elapsedMs * this.granted));
    this.#lastCpuMs = cpuMs;
    this.#lastAtMs = nowMs;
    return this.#share;
  }
}
