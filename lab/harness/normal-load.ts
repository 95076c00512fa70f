import type { Placement } from "../../bench/harness/machine.js";
import { median } from "../../bench/harness/statistics.js";
import type { LabRun, ProtectionName } from "../result.js";
import { LabServer } from "./lab-server.js";
import { closedLoop } from "./load-process.js";
import { serverSettings } from "./settings.js";
import { warmUp } from "./warm-up.js";

const COMPARED = ["token-bucket", "cello-adaptive", "cello-shedding"] as const satisfies readonly ProtectionName[];
const ROUNDS = 7;
const WARM_UP_SECONDS = 0.3;
const SECONDS = 3;
const CONNECTIONS = 32;

/** How long all of it takes, in seconds. */
export const NORMAL_LOAD_SECONDS = COMPARED.length * (ROUNDS * (WARM_UP_SECONDS + SECONDS) + 3);

/**
 * What following the load costs where there is nothing to protect: requests per second with next to no work,
 * limits out of reach, median of interleaved rounds. Only answers with 2xx count.
 */
export async function measureNormalLoad(placement: Placement): Promise<LabRun["normalLoad"]> {
  const servers: LabServer[] = [];
  try {
    for (const protection of COMPARED) {
      const server = await LabServer.start({ ...serverSettings("light", protection), isUnlimited: true }, placement);
      servers.push(server);
      await warmUp(server.port, "light");
    }
    const rounds = COMPARED.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      // Every round begins with another server: the first of a round may have it cooler.
      for (let step = 0; step < servers.length; step++) {
        const index = (round + step) % servers.length;
        rounds[index]?.push(await measureRound(servers[index], COMPARED[index], placement));
      }
    }
    const [tokenBucket = 0, adaptive = 0, shedding = 0] = rounds.map(median);
    return { tokenBucket, adaptive, shedding };
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function measureRound(
  server: LabServer | undefined,
  name: string | undefined,
  placement: Placement,
): Promise<number> {
  const plan = { port: server?.port ?? 0, connections: CONNECTIONS, warmupSeconds: WARM_UP_SECONDS, seconds: SECONDS };
  const { perSecond, others } = await closedLoop(plan, placement);
  if (others > 0) console.error(`  normal load: ${name} did not serve ${others} requests of a round`);
  return perSecond;
}
