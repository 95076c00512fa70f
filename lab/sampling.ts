// npm run lab:sampling: what it costs to watch the load of a process that has nothing else to do.
import { setTimeout as sleep } from "node:timers/promises";
import { LoadMonitor } from "../src/overload/load.js";

const ROUNDS = 11;
const ROUND_MS = 3000;
/** As often as a sample can be taken. */
const SAMPLE_MS = 100;

const monitor = new LoadMonitor();
const costs: number[] = [];
// The first round of each warms up.
await cpuShare(() => undefined);
await watched();
for (let round = 0; round < ROUNDS; round++) {
  const idle = await cpuShare(() => undefined);
  costs.push((await watched()) - idle);
}
costs.sort((a, b) => a - b);
const [least, median, most] = [costs[0], costs[ROUNDS >> 1], costs[ROUNDS - 1]].map((share = 0) =>
  (share * 100).toFixed(2),
);
console.info(`watching the load costs ${median} % of one CPU (${least} to ${most} in ${ROUNDS} rounds)`);

async function watched(): Promise<number> {
  // The first request starts the watch of the event loop's delay.
  monitor.depart(Number.NaN, monitor.arrive());
  const share = await cpuShare(() => void monitor.snapshot());
  monitor.stop();
  return share;
}

/** Share of one CPU that this process uses while something is done once for every sample. */
async function cpuShare(act: () => void): Promise<number> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  while (performance.now() - startMs < ROUND_MS) {
    act();
    await sleep(SAMPLE_MS);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - startMs);
}
