/*
 * One process of a fleet under load: asks for decisions far above the limits and tells its parent what it
 * admitted, with times of the machine's monotonic clock, which is the same in all processes. It does one
 * task after the other.
 */
import { once } from "node:events";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { testPolicy } from "../limit-policy.js";
import { openLimits } from "./limits-parts.js";

/** A limit that is asked, for so many keys. */
export interface LoadedLimit {
  readonly algorithm: "token-bucket" | "sliding-window";
  readonly keys: number;
  readonly requests: number;
}

/** What a worker is to do. It tells when it is ready, and waits for word to begin. */
export interface WorkerTask {
  readonly url: string;
  readonly lease: "auto" | number | null;
  readonly processes: number;
  readonly id: string;
  /** Asked for in equal parts. */
  readonly limits: readonly LoadedLimit[];
  readonly windowMs: number;
  readonly loadMs: number;
}

/** What it tells. Admissions are triples: the key's place, begin and end in milliseconds. The places of a limit's keys come after those of the limit before it. */
export interface WorkerResult {
  readonly asked: number;
  readonly failed: number;
  readonly admitted: Float64Array;
  /** When each key of each limit was asked for first and last; 0: never. */
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
  let places = 0;
  const loaded = task.limits.map(({ algorithm, keys, requests }) => {
    const policy = testPolicy(algorithm, requests, task.windowMs, { id: `${task.id} ${keys}` });
    const firstPlace = places;
    places += keys;
    return { policy, keys, firstPlace };
  });
  process.send?.("ready");
  await once(process, "message");
  const cpu = process.cpuUsage();
  const admitted: number[] = [];
  const firstAskedMs = new Float64Array(places);
  const lastAskedMs = new Float64Array(places);
  let [asked, failed, underWay] = [0, 0, 0];
  const beganMs = nowMs();
  const endMs = beganMs + task.loadMs;
  let [burstAtMs, longestPauseMs] = [beganMs, 0];
  while (nowMs() < endMs) {
    longestPauseMs = Math.max(longestPauseMs, nowMs() - burstAtMs);
    burstAtMs = nowMs();
    for (let index = 0; index < BURST; index++) {
      const chosen = loaded[Math.floor(Math.random() * loaded.length)];
      if (chosen === undefined) throw new RangeError();
      const key = Math.floor(Math.random() * chosen.keys);
      const place = chosen.firstPlace + key;
      const startMs = nowMs();
      asked++;
      firstAskedMs[place] ||= startMs;
      lastAskedMs[place] = startMs;
      const answer = limits.consume(chosen.policy, `client ${key}`, 1);
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
  process.send?.(result);
}

process.on("disconnect", () => process.exit());
process.send?.("started");
for (;;) {
  const [task]: WorkerTask[] = await once(process, "message");
  if (task !== undefined) await load(task);
}
