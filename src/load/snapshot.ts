import { type Clock, systemClock } from "../clock.js";
import { type CgroupLimits, readCgroupLimits } from "./cgroup.js";
import { CpuMeter, type CpuTimeReader, grantedCpus } from "./cpu.js";
import { LatencyHistogram } from "./latency.js";
import { type MemoryLimits, type MemoryUse, memoryLimits, memoryShare, processMemory } from "./memory.js";

/** How loaded this process is. */
export interface LoadSnapshot {
  /** CPU use of this process, 0 to 1 of what machine or container grant it. */
  readonly cpu: number;
  /** Memory in use, 0 to 1 of the nearest limit. */
  readonly memory: number;
  /** 95th percentile of the last second's latencies, in milliseconds; 0 without requests. */
  readonly latencyMs: number;
}

/** What can give a snapshot. */
export interface LoadSource {
  snapshot(): LoadSnapshot;
}

/** Where the figures come from; tests give their own. */
export interface LoadMonitorOptions {
  readonly clock?: Clock | undefined;
  readonly cgroup?: CgroupLimits | undefined;
  readonly readCpuMs?: CpuTimeReader | undefined;
  readonly readMemory?: (() => MemoryUse) | undefined;
  readonly memoryLimits?: MemoryLimits | undefined;
}

/** A sample is younger than this, or a new one is taken. */
const SAMPLE_EVERY_MS = 100;
/** Weight of the newest CPU sample: single samples of 100 ms are coarse. */
const NEWEST_CPU_WEIGHT = 0.4;

/**
 * Watches the load of this process. Nothing runs by itself: a sample is taken when one is asked for
 * and the last is older than 100 ms, so a process that asks nobody pays nothing.
 */
export class LoadMonitor implements LoadSource {
  readonly #clock: Clock;
  readonly #cpu: CpuMeter;
  readonly #readMemory: () => MemoryUse;
  readonly #memoryLimits: MemoryLimits;
  readonly #latencies: LatencyHistogram;
  #sampledAtMs: number;
  #snapshot: LoadSnapshot;

  constructor(options: LoadMonitorOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    const nowMs = this.#clock.monotonicMs();
    const cgroup = options.cgroup ?? readCgroupLimits();
    this.#cpu = new CpuMeter(grantedCpus(cgroup), nowMs, options.readCpuMs);
    this.#readMemory = options.readMemory ?? processMemory;
    this.#memoryLimits = options.memoryLimits ?? memoryLimits(cgroup);
    this.#latencies = new LatencyHistogram(nowMs);
    this.#sampledAtMs = nowMs;
    this.#snapshot = Object.freeze({ cpu: 0, memory: this.#memory(), latencyMs: 0 });
  }

  /** Counts one request's latency, in milliseconds. */
  record(latencyMs: number): void {
    this.#latencies.record(latencyMs, this.#clock.monotonicMs());
  }

  /** The load now, at most 100 ms old. */
  snapshot(): LoadSnapshot {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#sampledAtMs;
    if (elapsedMs < SAMPLE_EVERY_MS) return this.#snapshot;
    const newest = this.#cpu.sample(nowMs);
    // After a pause the sample spans the pause, and what was before says nothing any more.
    const weight = elapsedMs > 1000 ? 1 : NEWEST_CPU_WEIGHT;
    this.#sampledAtMs = nowMs;
    this.#snapshot = Object.freeze({
      cpu: this.#snapshot.cpu + (newest - this.#snapshot.cpu) * weight,
      memory: this.#memory(),
      latencyMs: this.#latencies.quantile(0.95, nowMs),
    });
    return this.#snapshot;
  }

  #memory(): number {
    return memoryShare(this.#readMemory(), this.#memoryLimits);
  }
}
