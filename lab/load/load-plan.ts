/** What a load generator is asked, and what it tells: JSON between two processes. */

import type { Counts, Slice } from "../result.js";

/** A rate for a while. */
export interface Phase {
  readonly seconds: number;
  /** Requests per second of the whole group. */
  readonly rate: number;
}

/** Clients that share a rate; each request comes from one of them, by chance. */
export interface ClientGroup {
  readonly name: string;
  /** The source address of each client. */
  readonly addresses: readonly string[];
  readonly phases: readonly Phase[];
}

/** An open loop: requests fall due whether or not the former are answered. */
export interface OpenLoopPlan {
  readonly port: number;
  readonly seed: number;
  readonly groups: readonly ClientGroup[];
  /** Requests that end earlier are in the slices only. */
  readonly measureFromSeconds: number;
  /** Requests that end then or later are in the slices only; `undefined`: all count. */
  readonly measureToSeconds?: number | undefined;
  /** A 2xx within this time is good. */
  readonly goodWithinMs: number;
  /** Clients give up after this time. */
  readonly giveUpMs: number;
  readonly sliceSeconds: number;
  /** Most connections at a time; a request that would need another one fails. */
  readonly maxConnections: number;
}

/** What came of an open loop. */
export interface OpenLoopResult {
  /** When the load began, in milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly counts: Counts;
  /** Of each group, by its name. */
  readonly groups: Readonly<Record<string, Counts>>;
  /** Of answers with 2xx; `null` when there were none. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly slices: readonly Omit<Slice, "limit" | "concurrency">[];
  /** CPU time of the generator as a share of the time it ran. */
  readonly generatorCpu: number;
}

/** A closed loop: each connection sends when it has its answer. */
export interface ClosedLoopPlan {
  readonly port: number;
  readonly connections: number;
  /** Before what is counted. */
  readonly warmupSeconds: number;
  readonly seconds: number;
}

/** What came of a closed loop. */
export interface ClosedLoopResult {
  /** Answers with 2xx per second. */
  readonly perSecond: number;
  /** All other ends of a request. */
  readonly others: number;
}
