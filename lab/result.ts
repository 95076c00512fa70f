/** What the lab measures. */
import type { RunHead } from "../bench/harness/suite.js";

/** What the server does for a request. */
export type WorkKind =
  /** Waits one turn of the event loop, as for a cache, then computes about 10 ms. */
  | "cpu"
  /** Computes about 10 ms in the handler at once: a limiter of requests in flight never sees two. */
  | "cpu-synchronous"
  /** Waits 10 to 200 ms for a dependency that serves a fixed number of requests at a time. */
  | "dependency"
  /** Computes a little and holds memory for a while. */
  | "memory";

/** What stands in front of the work. */
export type ProtectionName =
  | "none"
  | "token-bucket"
  | "cello-adaptive"
  | "cello-shedding"
  | "under-pressure"
  | "toobusy"
  | "gradient";

/** How the load goes on over time. */
export type LoadShape =
  /** One rate all the time. */
  | "steady"
  /** Half of the capacity, then the load, then half again. */
  | "step"
  /** Nine polite clients that together offer half of the capacity, and one greedy client that offers the load. */
  | "greedy"
  /** The nine polite clients alone. */
  | "polite";

/** One cell of the experiment. */
export interface Trial {
  readonly work: WorkKind;
  readonly protection: ProtectionName;
  readonly shape: LoadShape;
  readonly clients: number;
  /** Offered requests, in multiples of the measured capacity. */
  readonly load: number;
  readonly seconds: number;
}

/** One slice of a trial's time: requests that were due in it, and ends that came in it. */
export interface Slice {
  /** Seconds since the load began. */
  readonly atSeconds: number;
  readonly offered: number;
  readonly good: number;
  readonly refused: number;
  readonly failed: number;
  /** Of answers with 2xx; `null` when there were none. */
  readonly p95Ms: number | null;
  /** The adaptive limit in force; `null` without one. */
  readonly limit: number | null;
  /** The concurrency limit in force; `null` without one. */
  readonly concurrency: number | null;
}

/** Counts of a group of clients: requests that ended in the time that is measured. */
export interface Counts {
  readonly offered: number;
  /** 2xx within the bound of a good answer. */
  readonly good: number;
  /** 2xx later than that. */
  readonly late: number;
  /** 429 and 503. */
  readonly refused: number;
  /** Other statuses, broken connections, and clients that gave up. */
  readonly failed: number;
}

/** What came of a trial; latencies count from the moment at which a request was due, of answers with 2xx. */
export interface TrialResult extends Trial {
  readonly counts: Counts;
  /** Of the time that is measured: a step whole, another load without its first 3 s, in which limits settle. */
  readonly measuredSeconds: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly slices: readonly Slice[];
  /** Only of the shapes "greedy" and "polite". */
  readonly polite?: Counts;
  /** Share of the generator's own core in use: near 1 the generator, not the server, was measured. */
  readonly generatorCpu: number;
}

/** What one kind of work can do, measured without protection. */
export interface Baseline {
  readonly work: WorkKind;
  /** Requests per second in a closed loop. */
  readonly capacity: number;
  /** At a tenth of the capacity. */
  readonly unloadedP95Ms: number;
  readonly unloadedP99Ms: number;
  readonly latencyThresholdMs: number;
  /** The bound of a good answer: 4 x the unloaded p95 + latencyThreshold. */
  readonly goodWithinMs: number;
}

/** One run of the lab. */
export interface LabRun extends RunHead {
  readonly baselines: readonly Baseline[];
  readonly trials: readonly TrialResult[];
  /** Requests per second with next to no work, closed loop: what the adaptive limit costs. */
  readonly normalLoad: { readonly tokenBucket: number; readonly adaptive: number; readonly shedding: number };
}
