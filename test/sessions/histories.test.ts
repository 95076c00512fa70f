import { randomUUID } from "node:crypto";
import { MemorySessionStore, type SessionStore } from "cello";
import { RedisStore } from "cello/redis";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestClock } from "../clock.js";
import { type RedisAddress, type RedisServer, startRedis } from "../redis/server.js";
import { SHARED_MS, sharedCluster } from "../shared/shared.js";
import { FakeServer } from "./client.js";
import { carryOut, historyPlans } from "./histories.js";

/** Set `CELLO_LONG_TESTS` for 10,000 histories instead of 120. */
const isLong = process.env.CELLO_LONG_TESTS !== undefined;
const numRuns = isLong ? 10_000 : 120;
const patience = { timeout: isLong ? 3_600_000 : 120_000 } as const;
const PROCESSES = 4;

/** A network between a process and the store: what is asked and what is answered take some time each. */
function behindNetwork(store: SessionStore, pause: () => Promise<void>): SessionStore {
  const send = async <Value>(call: () => Value | Promise<Value>): Promise<Value> => {
    await pause();
    const answer = await call();
    await pause();
    return answer;
  };
  return {
    load: (id) => send(() => store.load(id)),
    save: (id, record, version) => send(() => store.save(id, record, version)),
    touch: (id, times) => send(() => store.touch(id, times)),
    delete: (id) => send(() => store.delete(id)),
    list: (userId) => send(() => store.list?.(userId) ?? []),
    ...(store.now && { now: () => store.now?.() ?? Date.now() }),
  };
}

describe("what was ended stays ended, what was acknowledged is kept, and one session never becomes two", () => {
  it.each([
    ["processes that share a store over a network", behindNetwork],
    ["one process with its store in memory", (store: SessionStore) => store],
  ] as const)("whatever is done at the same time, in %s", patience, async (_where, connect) => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), historyPlans(PROCESSES), async (scheduler, plan) => {
        const clock = new TestClock();
        const store = new MemorySessionStore({ clock });
        const pause = () => scheduler.schedule(Promise.resolve());
        const start = () => new FakeServer({ store: connect(store, pause) }, clock);
        const servers = Array.from({ length: PROCESSES }, start);
        expect(await scheduler.waitFor(carryOut(plan, { servers, pause, userId: "u1" }))).toEqual([]);
      }),
      { numRuns },
    );
  });

  describe("in Redis", () => {
    let redis: RedisServer;
    let cluster: readonly RedisAddress[];
    beforeAll(async () => {
      [redis, cluster] = await Promise.all([startRedis(), sharedCluster()]);
    }, SHARED_MS);
    afterAll(() => redis.stop());

    it.each([
      ["one server", () => ({ url: redis.url }), numRuns],
      ["a Cluster", () => ({ cluster: cluster.map(({ port }) => ({ host: "127.0.0.1", port })) }), numRuns / 4],
    ] as const)(
      "whatever is done at the same time, with a slow network to %s",
      patience,
      async (_what, place, runs) => {
        const stores = Array.from({ length: PROCESSES }, () => new RedisStore({ deadline: 30_000, ...place() }));
        try {
          await carryOutMany(stores, runs);
        } finally {
          await Promise.all(stores.map((store) => store.close()));
        }
      },
    );
  });
});

/** Histories that share the processes and nothing else, many at a time: nearly all of their time is waiting. */
async function carryOutMany(stores: readonly RedisStore[], runs: number): Promise<void> {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, Math.random() * 8));
  const servers = stores.map((store) => new FakeServer({ store: behindNetwork(store, pause) }));
  const plans = fc.sample(historyPlans(PROCESSES), runs);
  const problems: string[] = [];
  let next = 0;
  const worker = async () => {
    for (let plan = plans[next++]; plan !== undefined; plan = plans[next++]) {
      const found = await carryOut(plan, { servers, pause, userId: randomUUID() });
      if (found.length > 0) problems.push(...found, JSON.stringify(plan));
    }
  };
  await Promise.all(Array.from({ length: 40 }, worker));
  expect(problems).toEqual([]);
}
