import { setTimeout as wait } from "node:timers/promises";
import { RedisConnection } from "../../src/redis/connection.js";
import { type RedisStoreOptions, readRedisOptions } from "../../src/redis/options.js";
import { RevocationCopy } from "../../src/redis/revocation-copy.js";
import { RevocationTransfer } from "../../src/redis/revocation-transfer.js";
import { cutableProxy, moveSlots, type RedisServer, startCluster, startRedis } from "../../test/redis/server.js";
import { slowProxy } from "./network.js";
import type { Promised } from "./promises.js";
import * as promise from "./promises.js";

/** Tokens that were revoked before the Redis that knows them is lost. */
export const REVOKED = 200_000;

/** What a fault happens to. */
export interface Scene {
  /** How a process of the fleet reaches Redis. */
  readonly redis: RedisStoreOptions;
  begin(): Promise<void> | void;
  /** Resolves when nothing is in the way any more. */
  end(): Promise<void> | void;
  close(): Promise<void> | void;
}

/** A kind of fault, and what docs/fleet.md says of it. */
export interface Fault {
  readonly name: string;
  readonly seconds: number;
  readonly open: () => Promise<Scene>;
  /** How wrong the clock of each process is, in milliseconds. */
  readonly clocksMs?: readonly number[];
  /** Whether tokens were revoked, and a process starts anew when it is over. */
  readonly hasRevoked?: boolean;
  readonly promises: readonly Promised[];
}

const down = [promise.onlyKnownStatuses, promise.limitsGoOn, promise.sessionsSayNo, promise.quotaHolds] as const;
const inTime = [promise.answersInTime, promise.recovers] as const;

export const FAULTS: Readonly<Record<string, Fault>> = {
  killed: {
    name: "Redis killed, back empty after 4 s",
    seconds: 4,
    open: async () =>
      onServer(await startRedis(), { begin: (redis) => redis.kill("SIGKILL"), end: (redis) => redis.restart() }),
    promises: [...down, ...inTime],
  },
  paused: {
    name: "Redis paused for 4 s",
    seconds: 4,
    open: async () =>
      onServer(await startRedis(), { begin: (redis) => redis.kill("SIGSTOP"), end: (redis) => redis.kill("SIGCONT") }),
    promises: [...down, ...inTime],
  },
  cut: {
    name: "network cut for 4 s, nobody told",
    seconds: 4,
    open: async () => {
      const redis = await startRedis();
      const proxy = await cutableProxy(redis.port);
      return scene(`redis://127.0.0.1:${proxy.port}`, [redis, { stop: () => proxy.close() }], {
        begin: () => proxy.cut(),
        end: () => proxy.heal(),
      });
    },
    promises: [...down, ...inTime],
  },
  "slow-50": { ...slow(50), name: "each answer 50 ms late, for 4 s" },
  "slow-500": { ...slow(500), name: "each answer 500 ms late, for 4 s" },
  node: {
    name: "one of three nodes of a Cluster paused for 4 s",
    seconds: 4,
    open: () => onCluster(async ([, , node], isBegin) => node?.kill(isBegin ? "SIGSTOP" : "SIGCONT")),
    promises: [promise.onlyKnownStatuses, promise.limitsGoOn, promise.otherNodesGoOn, promise.quotaHolds, ...inTime],
  },
  reshard: {
    name: "3,000 slots of a Cluster moved and moved back",
    seconds: 0,
    open: () =>
      onCluster(async ([from, to], isBegin) => {
        if (from === undefined || to === undefined) throw new Error("a Cluster has nodes");
        await (isBegin ? moveSlots(from, to, 3000) : moveSlots(to, from, 3000));
      }),
    promises: [promise.nothingFails, promise.quotaHolds, promise.recovers],
  },
  empty: {
    name: `Redis back at once, empty, ${REVOKED / 1000},000 tokens revoked`,
    seconds: 0,
    hasRevoked: true,
    open: async () => {
      const redis = await startRedis();
      await revokeMany(redis.url);
      return onServer(redis, { begin: () => redis.restart(), end: () => {} });
    },
    promises: [promise.revokedStaysRevoked, promise.newProcessIsSoonThere, promise.quotaHoldsTwice, ...inTime],
  },
  clocks: {
    name: "clocks of the processes right, 5 min fast, 5 min slow",
    seconds: 4,
    clocksMs: [0, 300_000, -300_000],
    open: async () => onServer(await startRedis(), { begin: () => {}, end: () => {} }),
    promises: [promise.limitsAreExact, promise.sessionsGoOn, promise.answersInTime],
  },
};

function slow(milliseconds: number): Omit<Fault, "name"> {
  return {
    seconds: 4,
    open: async () => {
      const redis = await startRedis();
      const proxy = await slowProxy(redis.port);
      return scene(`redis://127.0.0.1:${proxy.port}`, [redis, { stop: () => proxy.close() }], {
        begin: () => {
          proxy.delayMs = milliseconds;
        },
        end: () => {
          proxy.delayMs = 0;
        },
      });
    },
    // What Redis counted, and nobody waited for, comes on top of what is granted without it.
    promises: [promise.onlyKnownStatuses, promise.limitsGoOn, promise.quotaHoldsTwice, ...inTime],
  };
}

interface Stoppable {
  stop(): unknown;
}

function scene(url: string, parts: readonly Stoppable[], { begin, end }: Pick<Scene, "begin" | "end">): Scene {
  return {
    redis: { url },
    begin,
    end,
    async close() {
      for (const part of parts.toReversed()) await part.stop();
    },
  };
}

function onServer(
  redis: RedisServer,
  { begin, end }: { begin(redis: RedisServer): unknown; end(redis: RedisServer): unknown },
): Scene {
  return scene(redis.url, [redis], {
    begin: async () => void (await begin(redis)),
    end: async () => void (await end(redis)),
  });
}

async function onCluster(
  change: (nodes: readonly RedisServer[], isBegin: boolean) => Promise<unknown>,
): Promise<Scene> {
  const cluster = await startCluster();
  return {
    redis: { cluster: cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })) },
    begin: async () => void (await change(cluster.nodes, true)),
    end: async () => void (await change(cluster.nodes, false)),
    close: () => cluster.stop(),
  };
}

/** Fills an empty Redis with revoked tokens `t0`, `t1`, ..., as if they had been revoked long ago. */
async function revokeMany(url: string): Promise<void> {
  const connection = new RedisConnection(readRedisOptions({ url, deadline: 10_000 }));
  await connection.open(10_000);
  const copy = new RevocationCopy(2 * REVOKED);
  const expiresMs = Date.now() + 3_600_000;
  for (let index = 0; index < REVOKED; index++) copy.add({ kind: "t", name: `t${index}`, untilMs: 0, expiresMs });
  const transfer = new RevocationTransfer(connection, copy);
  const { epoch } = await transfer.ask("", "0", 1);
  if (!(await transfer.fill(epoch, 0))) throw new Error("the list of revoked tokens could not be filled");
  await connection.close();
  await wait(0);
}
