import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testPolicy } from "../../src/limits/clock.fake.js";
import { type Admission, decided, mostInWindow, openLimits, worstExcess } from "./limits-parts.js";
import type { WorkerResult, WorkerTask } from "./limits-worker.js";
import { type RedisServer, startRedis } from "./server.js";

const PROCESSES = 4;
/** Set `CELLO_LONG_TESTS` for ten seconds of load instead of three. */
const LOAD_MS = process.env.CELLO_LONG_TESTS === undefined ? 3000 : 10_000;
/** Two windows and a half: the third is used up, and has not passed when the load ends. */
const WINDOW_MS = LOAD_MS / 2.5;
const ALGORITHMS = ["token-bucket", "sliding-window"] as const;
const worker = fileURLToPath(new URL("./limits-worker.ts", import.meta.url));

let server: RedisServer;
let spy: Redis;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  server = await startRedis();
  spy = new Redis(server.url, { protocol: 2 });
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  spy.disconnect();
  await server.stop();
});

/** Starts a worker; resolves when it waits for the signal to begin. */
async function start(task: WorkerTask): Promise<ChildProcess> {
  const child = fork(worker, [JSON.stringify(task)], { execArgv: ["--import", "tsx"], serialization: "advanced" });
  children.add(child);
  child.once("exit", () => children.delete(child));
  await once(child, "message");
  return child;
}

async function resultOf(child: ChildProcess): Promise<WorkerResult> {
  const [result]: WorkerResult[] = await once(child, "message");
  if (result === undefined) throw new TypeError("a worker told nothing");
  return result;
}

async function calls(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await spy.info("commandstats"))?.[1] ?? 0);
}

interface Load {
  readonly results: readonly WorkerResult[];
  readonly asked: number;
  /** By algorithm, then by key. */
  readonly admissions: readonly (readonly (readonly Admission[])[])[];
  readonly loadMs: number;
}

async function fire(lease: "auto" | null, keys: number, requests: number): Promise<Load> {
  const task: WorkerTask = {
    url: server.url,
    lease,
    processes: PROCESSES,
    algorithms: ALGORITHMS,
    id: `${lease} ${keys}`,
    keys,
    requests,
    windowMs: WINDOW_MS,
    loadMs: LOAD_MS,
  };
  const fleet = await Promise.all(Array.from({ length: PROCESSES }, () => start(task)));
  const before = await calls();
  const told = fleet.map(resultOf);
  for (const child of fleet) child.send("go");
  const results = await Promise.all(told);
  const made = (await calls()) - before;
  const asked = results.reduce((sum, result) => sum + result.asked, 0);
  const cpuMs = results.reduce((sum, result) => sum + result.cpuMs, 0);
  const loadMs =
    Math.max(...results.map(({ endedMs }) => endedMs)) - Math.min(...results.map(({ beganMs }) => beganMs));
  const admissions = ALGORITHMS.map(() => Array.from({ length: keys }, (): Admission[] => []));
  let total = 0;
  for (const { admitted } of results) {
    for (let index = 0; index < admitted.length; index += 3) {
      const [place = 0, startMs = 0, endMs = 0] = admitted.subarray(index, index + 3);
      admissions[Math.floor(place / keys)]?.[place % keys]?.push({ startMs, endMs, cost: 1 });
      total++;
    }
  }
  console.info(
    `${lease ?? "strict"}, ${keys} keys: ${asked} decisions (${Math.round((asked / loadMs) * 1000)}/s), ${total} admitted, ` +
      `${made} calls (${(made / asked).toFixed(4)} a decision, ${(made / total).toFixed(3)} an admission), ` +
      `${((cpuMs * 1000) / asked).toFixed(2)} µs CPU a decision`,
  );
  expect(results.map(({ failed }) => failed)).toEqual(results.map(() => 0));
  return { results, asked, admissions, loadMs };
}

/** No interval holds more than it may, for any key. */
function expectBounds({ admissions }: Load, requests: number): void {
  const [buckets = [], windows = []] = admissions;
  for (const key of buckets) expect(worstExcess(key, requests, requests / WINDOW_MS)).toBeLessThanOrEqual(1e-6);
  for (const key of windows) expect(mostInWindow(key, WINDOW_MS)).toBeLessThanOrEqual(requests);
}

/** The share of what the limit grants that was admitted, for each algorithm. */
function shares({ admissions, results, asked, loadMs }: Load, requests: number): readonly number[] {
  const [buckets = [], windows = []] = admissions;
  const count = (keys: readonly (readonly Admission[])[]) => keys.reduce((sum, key) => sum + key.length, 0);
  // A limit that nobody asks cannot be used up: what holds from above is asserted always, what holds from below
  // where no process was kept from asking for long.
  const pauseMs = Math.max(...results.map(({ longestPauseMs }) => longestPauseMs));
  if (pauseMs > WINDOW_MS / 10) {
    console.info(
      `a process came to no request for ${Math.round(pauseMs)} ms: too busy a machine to say what was granted`,
    );
    return [];
  }
  // What was granted in the last moments may have found nobody who asked: a few times what lies between two requests.
  const lateMs = 10 + pauseMs + (4 * loadMs * ALGORITHMS.length * buckets.length) / asked;
  const windowsOf = (place: number) => {
    const first = Math.min(...results.map(({ firstAskedMs }) => firstAskedMs[place] || Number.POSITIVE_INFINITY));
    const last = Math.max(...results.map(({ lastAskedMs }) => lastAskedMs[place] ?? 0));
    return (last - first - lateMs) / WINDOW_MS;
  };
  // Who comes evenly gets a window's worth in each window; who comes all at once may get one more.
  const inBuckets = buckets.reduce((sum, _, key) => sum + Math.floor(requests * (1 + windowsOf(key))), 0);
  const inWindows = windows.reduce((sum, _, key) => sum + Math.floor(requests * windowsOf(buckets.length + key)), 0);
  const answer = [count(buckets) / inBuckets, count(windows) / inWindows];
  console.info(`admitted of what the limit grants: ${answer.map((share) => share.toFixed(4)).join(", ")}`);
  return answer;
}

describe("four processes under load far above the limit", () => {
  it.each([
    [1, 2000],
    [1000, 10],
  ])(
    "strict: admit the limit, to one in a hundred, and never more in any interval (%i keys)",
    async (keys, requests) => {
      const load = await fire(null, keys, requests);
      expectBounds(load, requests);
      for (const share of shares(load, requests)) expect(share).toBeGreaterThanOrEqual(0.99);
    },
    60_000,
  );

  it.each([
    [1, 2000],
    [1000, 10],
  ])(
    "leased: never admit more than the limit in any interval (%i keys)",
    async (keys, requests) => {
      const load = await fire("auto", keys, requests);
      expectBounds(load, requests);
      for (const share of shares(load, requests)) expect(share).toBeGreaterThan(0.5);
    },
    60_000,
  );

  it("get back within a window what a process held that was killed", async () => {
    const policy = testPolicy("token-bucket", 1000, 2000, { id: "killed" });
    const task: WorkerTask = {
      url: server.url,
      lease: 500,
      processes: 1,
      algorithms: ["token-bucket"],
      id: "killed",
      keys: 1,
      requests: 1000,
      windowMs: 2000,
      loadMs: 60_000,
    };
    const child = await start(task);
    child.send("go");
    const { limits, close } = openLimits({ url: server.url });
    const remaining = async () => (await decided(limits.peek(policy, "client 0"))).remaining;
    while ((await remaining()) > 500);
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
    const killedMs = performance.now();
    expect(await remaining()).toBeLessThan(1000);
    while ((await remaining()) < 1000) expect(performance.now() - killedMs).toBeLessThan(2500);
    await close();
  }, 30_000);
});
