import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { built } from "../built.js";
import { freePort, type RedisServer, startRedis } from "./server.js";
import type { ShareOrder } from "./share-process.js";

const PROCESSES = 8;
const file = fileURLToPath(new URL("share-process.ts", import.meta.url));

let redis: RedisServer | undefined;
let fleet: readonly ChildProcess[] = [];

beforeAll(async () => {
  const program = await built(file);
  fleet = Array.from({ length: PROCESSES }, () => fork(program, { execArgv: [] }));
  await Promise.all(fleet.map((child) => Promise.race([once(child, "message"), once(child, "exit").then(endedEarly)])));
}, 60_000);

afterAll(async () => {
  for (const child of fleet) child.kill("SIGKILL");
  await redis?.stop();
});

/** One order after the other: a process answers each with one message. */
async function tell(child: ChildProcess, order: ShareOrder): Promise<unknown> {
  const answered = once(child, "message");
  child.send(order);
  const [{ answer, error }] = await answered;
  if (error !== undefined) throw new Error(String(error));
  return answer;
}

function endedEarly(): never {
  throw new Error("a process of the fleet ended before it was ready");
}

const tellAll = (order: ShareOrder) => Promise.all(fleet.map((child) => tell(child, order)));

/** What all processes together grant when each is asked for more than the quota. */
async function granted(requests: number, key: string): Promise<number> {
  const answers = await tellAll({ kind: "ask", requests, key, times: requests + 2 });
  return answers.reduce((sum: number, one) => sum + Number(one), 0);
}

const counts = async () => (await tellAll({ kind: "fleet" })).map((one) => Object(one));

describe(`${PROCESSES} processes of a fleet`, () => {
  it("together grant the quota and no more while Redis is gone, also a quota smaller than the fleet", async () => {
    redis = await startRedis();
    await tellAll({ kind: "open", url: redis.url });
    await vi.waitFor(
      async () => expect((await counts()).map(({ processes }) => processes)).toEqual(Array(PROCESSES).fill(PROCESSES)),
      {
        timeout: 30_000,
        interval: 20,
      },
    );
    expect(new Set((await counts()).map(({ rank }) => rank)).size).toBe(PROCESSES);
    await redis.kill("SIGKILL");
    const outageMs = performance.now();
    for (const requests of [20, 5, 3]) {
      for (const key of ["a", "b", "c", "203.0.113.9"]) expect(await granted(requests, key)).toBe(requests);
    }
    // Longer than a process without signs of life counts as alive.
    await wait(Math.max(0, 3200 - (performance.now() - outageMs)));
    for (const requests of [20, 5, 3]) expect(await granted(requests, "d")).toBe(requests);

    // It comes back empty, and the first to find it finds nobody else: the count from before holds.
    await redis.restart();
    const { command } = redis;
    await vi.waitFor(async () => expect(await command("ZCARD", "cello:fleet")).not.toBe(":0"), {
      timeout: 5000,
      interval: 5,
    });
    for (const { processes } of await counts()) expect(processes).toBe(PROCESSES);
    await redis.kill("SIGKILL");
    for (const requests of [20, 5, 3]) expect(await granted(requests, "e")).toBe(requests);
  }, 300_000);

  it("grant no more than the quota when they start while Redis is gone, and are told how many they are", async () => {
    await tellAll({ kind: "open", url: `redis://127.0.0.1:${await freePort()}`, processes: PROCESSES });
    for (const { processes } of await counts()) expect(processes).toBe(PROCESSES);
    for (const key of ["a", "b", "c"]) {
      // Two each: nobody knows who may grant the four that are left over.
      expect(await granted(20, key)).toBe(16);
    }
  }, 300_000);
});
