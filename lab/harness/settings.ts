import type { ProtectionName, WorkKind } from "../result.js";

/** What a server does: a kind of work, or next to nothing, to see what the protection itself costs. */
export type ServerWork = WorkKind | "light";

/** What a server is started with. */
export interface ServerSettings {
  readonly work: ServerWork;
  readonly protection: ProtectionName;
  /** Requests per window that a client may send, as the operator of a server of this capacity might choose. */
  readonly requests: number;
  /** Seconds. */
  readonly window: number;
  /** Milliseconds of latency, or of delay of the event loop, from which on the server counts as overloaded. */
  readonly latencyThresholdMs: number;
  /** Heap that the server's process may use; `undefined`: Node's default. */
  readonly heapLimitMb?: number | undefined;
  /** Limits so high that nothing is refused. */
  readonly isUnlimited?: boolean | undefined;
  /** Records that a request of the CPU's works computes with; `undefined`: the usual amount. */
  readonly amount?: number | undefined;
}

const LIMITS: Readonly<Record<ServerWork, Omit<ServerSettings, "work" | "protection">>> = {
  cpu: { requests: 100, window: 10, latencyThresholdMs: 100 },
  "cpu-synchronous": { requests: 100, window: 10, latencyThresholdMs: 100 },
  // Twice the capacity of the others, and calls of up to 200 ms.
  dependency: { requests: 200, window: 10, latencyThresholdMs: 400 },
  memory: { requests: 200, window: 10, latencyThresholdMs: 100, heapLimitMb: 256 },
  light: { requests: 100, window: 10, latencyThresholdMs: 100 },
};

/** The settings for a work and a protection. */
export function serverSettings(work: ServerWork, protection: ProtectionName): ServerSettings {
  return { work, protection, ...LIMITS[work] };
}
