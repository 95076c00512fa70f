import { setTimeout as wait } from "node:timers/promises";
import { RedisStore } from "cello/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSurvival } from "../hostile/survival.js";
import { testPolicy } from "../limit-policy.js";
import { moveSlots, type RedisCluster, startCluster } from "./server.js";

expectSurvival();

/** Ten times the default: on a machine that runs other tests too, a healthy Redis may need longer than 50 ms. */
const DEADLINE_MS = 500;
const policy = testPolicy("token-bucket", 1_000_000, 600_000, { id: "cluster faults" });
const keys = Array.from({ length: 90 }, (_, index) => `key ${index}`);
/** How many move. A node of three has 5461, and some of the keys stand in these. */
const SLOTS = 1500;

let cluster: RedisCluster;
let store: RedisStore;

beforeAll(async () => {
  cluster = await startCluster();
  store = new RedisStore({
    cluster: cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
    deadline: DEADLINE_MS,
  });
  await store.open();
}, 60_000);

afterAll(async () => {
  await store.close();
  await cluster.stop();
});

/** Asks about a session and a limit; tells whether both were answered, and how long it took. */
async function ask(key: string): Promise<{ key: string; error: unknown; tookMs: number }> {
  const startMs = performance.now();
  const both = await Promise.allSettled([store.load(key), store.consume(policy, key, 1)]);
  const failed = both.find((one) => one.status === "rejected");
  return { key, error: failed?.reason, tookMs: performance.now() - startMs };
}

describe("a Redis Cluster", () => {
  it("answers for the other nodes while one is paused, and decides about its keys at once", async () => {
    expect((await Promise.all(keys.map(ask))).filter(({ error }) => error !== undefined)).toEqual([]);
    const [paused] = cluster.nodes;
    await paused?.kill("SIGSTOP");
    try {
      // Whoever is first waits for the deadline.
      await Promise.all(keys.map(ask));
      const answers = [];
      for (let round = 0; round < 4; round++) {
        answers.push(...(await Promise.all(keys.map(ask))));
        await wait(100);
      }
      const failed = answers.filter(({ error }) => error !== undefined);
      expect(failed.length).toBeGreaterThan(answers.length / 6);
      expect(failed.length).toBeLessThan((answers.length * 3) / 4);
      expect(Math.max(...failed.map(({ tookMs }) => tookMs))).toBeLessThan(DEADLINE_MS / 2);
      expect(failed.map(({ error }) => String(error))).not.toContainEqual(expect.stringContaining("slots"));
    } finally {
      await paused?.kill("SIGCONT");
    }
    const startMs = performance.now();
    while ((await Promise.all(keys.map(ask))).some(({ error }) => error !== undefined)) {
      expect(performance.now() - startMs).toBeLessThan(5000);
      await wait(20);
    }
  }, 30_000);

  it("answers everything while slots move from one node to another", async () => {
    const [from, to] = cluster.nodes;
    if (from === undefined || to === undefined) throw new Error("no nodes");
    const answers: Awaited<ReturnType<typeof ask>>[] = [];
    let isOver = false;
    const load = async () => {
      while (!isOver) {
        answers.push(...(await Promise.all(keys.map(ask))));
        await wait(1);
      }
    };
    const loads = [load(), load(), load()];
    await moveSlots(from, to, SLOTS);
    await moveSlots(to, from, SLOTS);
    isOver = true;
    await Promise.all(loads);
    expect(answers.length).toBeGreaterThan(1000);
    expect(answers.filter(({ error }) => error !== undefined).map(({ error }) => String(error))).toEqual([]);
  }, 60_000);
});
