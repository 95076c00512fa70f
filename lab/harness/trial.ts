import type { Placement } from "../../bench/harness/machine.js";
import type { ClientGroup, OpenLoopResult } from "../load/load-plan.js";
import { type PlannedGroup, plannedGroups, settleSeconds } from "../plan.js";
import type { Baseline, Counts, Slice, Trial, TrialResult } from "../result.js";
import { LabServer, type LimitReport } from "./lab-server.js";
import { openLoop } from "./load-process.js";
import { type ServerSettings, serverSettings } from "./settings.js";
import { warmUp } from "./warm-up.js";

/** Clients give up after this time. They do not heed Retry-After, which is the worst that they can do. */
export const GIVE_UP_MS = 2000;
export const SLICE_SECONDS = 0.5;
export const MAX_CONNECTIONS = 15_000;

/** What a trial needs to know. */
export interface TrialSurroundings {
  readonly baseline: Pick<Baseline, "capacity" | "goodWithinMs">;
  readonly placement: Placement;
  /** Different for each trial of a run: connections that were closed keep an address's ports for a minute. */
  readonly number: number;
  /** Other settings of the server than the usual ones of this work. */
  readonly settings?: Partial<ServerSettings> | undefined;
  /** Seconds of load before what is measured; the usual ones when not given. */
  readonly settleSeconds?: number | undefined;
}

/** Runs one trial on a server of its own. */
export async function runTrial(trial: Trial, surroundings: TrialSurroundings): Promise<TrialResult> {
  const { baseline, placement, number, settings } = surroundings;
  const server = await LabServer.start({ ...serverSettings(trial.work, trial.protection), ...settings }, placement);
  const settle = surroundings.settleSeconds ?? settleSeconds(trial.shape);
  try {
    await warmUp(server.port, trial.work);
    const load = await openLoop(
      {
        port: server.port,
        seed: seedOf(trial),
        groups: clientGroups(plannedGroups(trial, settle), baseline.capacity, number),
        measureFromSeconds: settle,
        // Where the load is the same all the time, a second of it is as good as another; else all of it counts.
        measureToSeconds: settle === 0 ? undefined : settle + trial.seconds,
        goodWithinMs: baseline.goodWithinMs,
        giveUpMs: GIVE_UP_MS,
        sliceSeconds: SLICE_SECONDS,
        maxConnections: MAX_CONNECTIONS,
      },
      placement,
    );
    if (server.isDead) console.error(`  ${trial.protection} (${trial.work}): the server died under the load`);
    return trialResult(trial, load, server.reports);
  } finally {
    await server.stop();
  }
}

/** The clients of a trial, with a network of source addresses that no other trial of the last minutes had. */
export function clientGroups(
  groups: readonly PlannedGroup[],
  capacity: number,
  number: number,
): readonly ClientGroup[] {
  let client = 0;
  return groups.map(({ name, clients, phases }) => ({
    name,
    addresses: Array.from({ length: clients }, () => {
      const host = client++;
      return `127.${10 + (number % 150)}.${host >> 7}.${1 + (host & 127)}`;
    }),
    phases: phases.map(({ seconds, load }) => ({ seconds, rate: load * capacity })),
  }));
}

/** All protections meet the same arrivals. */
function seedOf({ work, shape, clients, load }: Trial): number {
  let seed = 17;
  for (const character of `${work} ${shape} ${clients} ${load}`) {
    seed = (Math.imul(seed, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  }
  return seed;
}

function trialResult(trial: Trial, load: OpenLoopResult, reports: readonly LimitReport[]): TrialResult {
  const { counts, groups, latencyMs, startedAtMs, generatorCpu } = load;
  // Nobody got an answer before he gave up: the latency is at least that, not zero.
  const none = { p50: GIVE_UP_MS, p95: GIVE_UP_MS, p99: GIVE_UP_MS };
  const polite: Counts | undefined = groups.polite;
  return {
    ...trial,
    counts,
    measuredSeconds: trial.seconds,
    latencyMs: latencyMs ?? none,
    slices: withLimits(load.slices, startedAtMs, reports),
    ...(polite !== undefined && { polite }),
    generatorCpu,
  };
}

/** Puts to each slice the limits that were in force at its end. */
export function withLimits(
  slices: OpenLoopResult["slices"],
  startedAtMs: number,
  reports: readonly LimitReport[],
): readonly Slice[] {
  return slices.map((slice) => {
    const endMs = startedAtMs + (slice.atSeconds + SLICE_SECONDS) * 1000;
    const last = reports.findLast(({ atMs }) => atMs <= endMs);
    return { ...slice, limit: last?.limit ?? null, concurrency: last?.concurrency ?? null };
  });
}
