import type { Placement } from "../../bench/harness/machine.js";
import type { Baseline, WorkKind } from "../result.js";
import { LabServer } from "./lab-server.js";
import { closedLoop, openLoop } from "./load-process.js";
import { serverSettings } from "./settings.js";
import { GIVE_UP_MS, MAX_CONNECTIONS, SLICE_SECONDS } from "./trial.js";
import { warmUp } from "./warm-up.js";

const CAPACITY_SECONDS = 6;
const UNLOADED_SECONDS = 15;

/** How long one baseline takes, in seconds. */
export const BASELINE_SECONDS = CAPACITY_SECONDS + UNLOADED_SECONDS + 5;

/** Enough to keep the server busy; the dependency serves 20 at a time. */
const CONNECTIONS: Readonly<Record<WorkKind, number>> = {
  cpu: 16,
  "cpu-synchronous": 16,
  dependency: 40,
  memory: 8,
};

/** Measures what a work can do without protection: its capacity, and its latencies at a tenth of it. */
export async function measureBaseline(work: WorkKind, placement: Placement): Promise<Baseline> {
  const settings = serverSettings(work, "none");
  const server = await LabServer.start(settings, placement);
  try {
    const { port } = server;
    await warmUp(port, work);
    const connections = CONNECTIONS[work];
    const { perSecond: capacity, others } = await closedLoop(
      { port, connections, warmupSeconds: 1, seconds: CAPACITY_SECONDS },
      placement,
    );
    if (others > 0) throw new Error(`${work}: ${others} requests failed while the capacity was measured`);
    const unloaded = await openLoop(
      {
        port,
        seed: 1,
        groups: [
          { name: "all", addresses: ["127.0.0.1"], phases: [{ seconds: UNLOADED_SECONDS, rate: capacity / 10 }] },
        ],
        measureFromSeconds: 0,
        goodWithinMs: GIVE_UP_MS,
        giveUpMs: GIVE_UP_MS,
        sliceSeconds: SLICE_SECONDS,
        maxConnections: MAX_CONNECTIONS,
      },
      placement,
    );
    if (unloaded.latencyMs === null) throw new Error(`${work}: no answer without load`);
    const { p95: unloadedP95Ms, p99: unloadedP99Ms } = unloaded.latencyMs;
    const { latencyThresholdMs } = settings;
    const goodWithinMs = 4 * unloadedP95Ms + latencyThresholdMs;
    return { work, capacity, unloadedP95Ms, unloadedP99Ms, latencyThresholdMs, goodWithinMs };
  } finally {
    await server.stop();
  }
}
