import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { built } from "../built.js";
import { testPolicy } from "../limit-policy.js";
import { type Admission, decided, mostInWindow, openLimits, worstExcess } from "./limits-parts.js";
import type { LoadedLimit, WorkerResult, WorkerTask } from "./limits-worker.js";
import { type RedisServer, startRedis } from "./server.js";

const PROCESSES = 4;
/** Set `CELLO_LONG_TESTS` for ten seconds of load instead of two. */
const LOAD_MS = process.env.CELLO_LONG_TESTS === undefined ? 2000 : 10_000;
/** Two windows and a half: the third is used up, and has not passed when the load ends. */
const WINDOW_MS = LOAD_MS / 2.5;
/** Many keys with small limits, and one key with a large one, asked at the same time. */
const LIMITS: readonly LoadedLimit[] = [
  { algorithm: "token-bucket", keys: 1, requests: 1000 },
  { algorithm: "sliding-window", keys: 1, requests: 1000 },
  { algorithm: "token-bucket", keys: 300, requests: 10 },
  { algorithm: "sliding-window", keys: 300, requests: 10 },
];

let server: RedisServer;
let spy: Redis;
let fleet: readonly ChildProcess[] = [];

beforeAll(async () => {
  const program = await built(fileURLToPath(new URL("./limits-worker.ts", import.meta.url)));
  server = await startRedis();
  spy = new Redis(server.url, { protocol: 2 });
  fleet = Array.from({ length: PROCESSES }, () => fork(program, { execArgv: [], serialization: "advanced" }));
  await Promise.all(fleet.map((child) => once(child, "message")));
}, 60_000);

afterAll(async () => {
  for (const child of fleet) child.kill("SIGKILL");
  spy.disconnect();
  await server.stop();
});

/** Tells a worker what to do; resolves when it waits for the signal to begin. */
async function prepare(child: ChildProcess, task: WorkerTask): Promise<void> {
  const ready = once(child, "message");
  child.send(task);
  await ready;
}

async function resultOf(child: ChildProcess): Promise<WorkerResult> {
  const [result]: WorkerResult[] = await once(child, "message");
  if (result === undefined) throw new TypeError("a worker told nothing");
  return result;
}

async function calls(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await spy.info("commandstats"))?.[1] ?? 0);
}

/** What was admitted of one limit. */
interface Loaded extends LoadedLimit {
  readonly firstPlace: number;
  /** By key. */
  readonly admissions: readonly (readonly Admission[])[];
}

interface Load {
  readonly results: readonly WorkerResult[];
  readonly asked: number;
  readonly limits: readonly Loaded[];
  readonly loadMs: number;
}

async function fire(lease: "auto" | null): Promise<Load> {
  const task: WorkerTask = {
    url: server.url,
    lease,
    processes: PROCESSES,
    id: `${lease}`,
    limits: LIMITS,
    windowMs: WINDOW_MS,
    loadMs: LOAD_MS,
  };
  await Promise.all(fleet.map((child) => prepare(child, task)));
  const before = await calls();
  const told = fleet.map(resultOf);
  for (const child of fleet) child.send("go");
  const results = await Promise.all(told);
  const made = (await calls()) - before;
  const asked = results.reduce((sum, result) => sum + result.asked, 0);
  const cpuMs = results.reduce((sum, result) => sum + result.cpuMs, 0);
  const loadMs =
    Math.max(...results.map(({ endedMs }) => endedMs)) - Math.min(...results.map(({ beganMs }) => beganMs));
  const byPlace = LIMITS.flatMap(({ keys }) => Array.from({ length: keys }, (): Admission[] => []));
  let total = 0;
  for (const { admitted } of results) {
    for (let index = 0; index < admitted.length; index += 3) {
      const [place = 0, startMs = 0, endMs = 0] = admitted.subarray(index, index + 3);
      byPlace[place]?.push({ startMs, endMs, cost: 1 });
      total++;
    }
  }
  let firstPlace = 0;
  const limits = LIMITS.map((limit) => {
    const loaded = { ...limit, firstPlace, admissions: byPlace.slice(firstPlace, firstPlace + limit.keys) };
    firstPlace += limit.keys;
    return loaded;
  });
  console.info(
    `${lease ?? "strict"}: ${asked} decisions (${Math.round((asked / loadMs) * 1000)}/s), ${total} admitted, ` +
      `${made} calls (${(made / asked).toFixed(4)} a decision, ${(made / total).toFixed(3)} an admission), ` +
      `${((cpuMs * 1000) / asked).toFixed(2)} µs CPU a decision`,
  );
  expect(results.map(({ failed }) => failed)).toEqual(results.map(() => 0));
  return { results, asked, limits, loadMs };
}

/** No interval holds more than it may, for any key. */
function expectBounds({ limits }: Load): void {
  for (const { algorithm, requests, admissions } of limits) {
    for (const key of admissions) {
      if (algorithm === "token-bucket")
        expect(worstExcess(key, requests, requests / WINDOW_MS)).toBeLessThanOrEqual(1e-6);
      else expect(mostInWindow(key, WINDOW_MS)).toBeLessThanOrEqual(requests);
    }
  }
}

/** The share of what each limit grants that was admitted. */
function shares({ limits, results, asked, loadMs }: Load): readonly number[] {
  // A limit that nobody asks cannot be used up: what holds from above is asserted always, what holds from below
  // where no process was kept from asking for long.
  const pauseMs = Math.max(...results.map(({ longestPauseMs }) => longestPauseMs));
  if (pauseMs > WINDOW_MS / 10) {
    console.info(
      `a process came to no request for ${Math.round(pauseMs)} ms: too busy a machine to say what was granted`,
    );
    return [];
  }
  const answer = limits.map(({ algorithm, keys, requests, firstPlace, admissions }) => {
    // What was granted in the last moments may have found nobody who asked: a few times what lies between two requests.
    const lateMs = 10 + pauseMs + (4 * loadMs * limits.length * keys) / asked;
    const windowsOf = (place: number) => {
      const first = Math.min(...results.map(({ firstAskedMs }) => firstAskedMs[place] || Number.POSITIVE_INFINITY));
      const last = Math.max(...results.map(({ lastAskedMs }) => lastAskedMs[place] ?? 0));
      return (last - first - lateMs) / WINDOW_MS;
    };
    // Who comes evenly gets a window's worth in each window; who comes all at once may get one more.
    const atOnce = algorithm === "token-bucket" ? 1 : 0;
    const granted = admissions.reduce(
      (sum, _, key) => sum + Math.floor(requests * (atOnce + windowsOf(firstPlace + key))),
      0,
    );
    return admissions.reduce((sum, key) => sum + key.length, 0) / granted;
  });
  console.info(`admitted of what the limits grant: ${answer.map((share) => share.toFixed(4)).join(", ")}`);
  return answer;
}

describe("four processes under load far above the limits, of one key and of three hundred", () => {
  it("strict: admit the limit, to one in a hundred, and never more in any interval", async () => {
    const load = await fire(null);
    expectBounds(load);
    for (const share of shares(load)) expect(share).toBeGreaterThanOrEqual(0.99);
  }, 60_000);

  it("leased: never admit more than the limit in any interval", async () => {
    const load = await fire("auto");
    expectBounds(load);
    for (const share of shares(load)) expect(share).toBeGreaterThan(0.5);
  }, 60_000);

  it("get back within a window what a process held that was killed", async () => {
    const policy = testPolicy("token-bucket", 1000, 2000, { id: "killed 1" });
    const [child] = fleet;
    if (child === undefined) throw new Error("no process");
    await prepare(child, {
      url: server.url,
      lease: 500,
      processes: 1,
      id: "killed",
      limits: [{ algorithm: "token-bucket", keys: 1, requests: 1000 }],
      windowMs: 2000,
      loadMs: 60_000,
    });
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
