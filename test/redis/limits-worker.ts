/*
 * One process of a fleet under load: asks for decisions far above the limits and tells its parent what it
 * admitted, with times of the machine's monotonic clock, which is the same in all processes.
 */
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { testPolicy } from "../../src/limits/clock.fake.js";
import { openLimits } from "./limits-parts.js";

/** What a worker is to do, as JSON in its first argument. */
export interface WorkerTask {
  readonly url: string;
  readonly lease: "auto" | number | null;
  readonly processes: number;
  readonly algorithms: readonly ("token-bucket" | "sliding-window")[];
  readonly id: string;
  readonly keys: number;
  readonly requests: number;
  readonly windowMs: number;
  readonly loadMs: number;
}

/** What it tells. Admissions are triples: number of algorithm and key, begin and end in milliseconds. */
export interface WorkerResult {
  readonly asked: number;
  readonly failed: number;
  readonly admitted: Float64Array;
  /** When each key of each algorithm was asked for first and last; 0: never. */
  readonly firstAskedMs: Float64Array;
  readonly lastAskedMs: Float64Array;
  readonly beganMs: number;
  readonly endedMs: number;
  /** The longest time between two bursts, in milliseconds: the machine or Redis had no time for this process. */
  readonly longestPauseMs: number;
  readonly cpuMs: number;
}

const BURST = 64;
const MOST_UNDER_WAY = 1000;

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function load(task: WorkerTask): Promise<void> {
  const { limits, connection, close } = openLimits({ url: task.url, lease: task.lease ?? undefined }, task.processes);
  await connection.open(10_000);
  const policies = task.algorithms.map((algorithm) =>
    testPolicy(algorithm, task.requests, task.windowMs, { id: task.id }),
  );
  process.send?.("ready");
  await new Promise((resolve) => process.once("message", resolve));
  const cpu = process.cpuUsage();
  const admitted: number[] = [];
  const firstAskedMs = new Float64Array(policies.length * task.keys);
  const lastAskedMs = new Float64Array(policies.length * task.keys);
  let [asked, failed, underWay] = [0, 0, 0];
  const beganMs = nowMs();
  const endMs = beganMs + task.loadMs;
  let [burstAtMs, longestPauseMs] = [beganMs, 0];
  while (nowMs() < endMs) {
    longestPauseMs = Math.max(longestPauseMs, nowMs() - burstAtMs);
    burstAtMs = nowMs();
    for (let index = 0; index < BURST; index++) {
      const choice = Math.floor(Math.random() * policies.length);
      const key = Math.floor(Math.random() * task.keys);
      const policy = policies[choice];
      if (policy === undefined) throw new RangeError();
      const place = choice * task.keys + key;
      const startMs = nowMs();
      asked++;
      firstAskedMs[place] ||= startMs;
      lastAskedMs[place] = startMs;
      const answer = limits.consume(policy, `client ${key}`, 1);
      if (!(answer instanceof Promise)) {
        if (answer.isAllowed) admitted.push(place, startMs, nowMs());
        continue;
      }
      underWay++;
      answer
        .then(
          ({ isAllowed }) => isAllowed && admitted.push(place, startMs, nowMs()),
          () => failed++,
        )
        .finally(() => underWay--);
    }
    await turn();
    // Sleeping, not spinning: Redis needs the processor too.
    while (underWay > MOST_UNDER_WAY) await pause(1);
  }
  const endedMs = nowMs();
  while (underWay > 0) await pause(1);
  const { user, system } = process.cpuUsage(cpu);
  await close();
  const result: WorkerResult = {
    asked,
    failed,
    admitted: Float64Array.from(admitted),
    firstAskedMs,
    lastAskedMs,
    beganMs,
    endedMs,
    longestPauseMs,
    cpuMs: (user + system) / 1000,
  };
  process.send?.(result, () => process.disconnect());
}

const task: WorkerTask = JSON.parse(process.argv[2] ?? "");
await load(task);
