import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type RedisServer, startRedis } from "../../test/redis/server.js";
import type { Placement } from "../harness/machine.js";
import { CONTENDERS, type RedisWorkload } from "./workloads.js";

/** How the workloads are measured. */
export interface RedisBenchOptions {
  readonly placement: Placement;
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Decisions that one process has in flight at a time. */
  readonly inFlight: number;
  readonly report: (line: string) => void;
}

/** What a contender needed in one round; all but the first two for one decision. */
export interface RedisRound {
  readonly decisions: number;
  readonly admitted: number;
  readonly perSecond: number;
  /** Computing time of the process that decides. */
  readonly cpuMicros: number;
  /** Computing time of Redis. */
  readonly redisCpuMicros: number;
  /** Commands that the process sent. */
  readonly sentCommands: number;
  /** Commands that scripts ran. */
  readonly scriptCommands: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A workload's contenders, a round after the other. */
export interface RedisResult extends Pick<RedisWorkload, "name" | "title"> {
  readonly contenders: readonly { readonly contender: string; readonly rounds: readonly RedisRound[] }[];
}

/** What something takes in Redis' memory. */
export interface RedisSize {
  readonly what: string;
  readonly bytes: number;
}

/** A Redis for measurements, on the core of the load where cores can be chosen. */
export async function startPinnedRedis({ load, isPinned }: Placement): Promise<RedisServer> {
  const redis = await startRedis();
  if (isPinned) spawnSync("taskset", ["-acp", load.at(-1) ?? "1", String(redis.pid)]);
  return redis;
}

/** Measures a workload, its contenders in turns, each time in a fresh process and with an empty Redis. */
export async function measureWorkload(
  workload: RedisWorkload,
  redis: RedisServer,
  options: RedisBenchOptions,
): Promise<RedisResult> {
  const measured = CONTENDERS.map((contender) => ({ contender, rounds: [] as RedisRound[] }));
  for (let round = 1; round <= options.rounds; round++) {
    for (const { contender, rounds } of measured) {
      await redis.command("FLUSHALL");
      const result = await measureOnce(workload, contender, redis.port, options);
      rounds.push(result);
      options.report(
        `${workload.name} round ${round}/${options.rounds}  ${contender}: ${result.perSecond.toFixed(0)}/s, ${result.cpuMicros.toFixed(2)} us`,
      );
    }
  }
  return { name: workload.name, title: workload.title, contenders: measured };
}

/** Weighs what Cello keeps in Redis, each thing as the mean of so many. */
export async function measureSizes(
  redis: RedisServer,
  { placement }: RedisBenchOptions,
  count: number,
): Promise<readonly RedisSize[]> {
  return JSON.parse(await runNode(placement, "sizes.mjs", [String(redis.port), String(count)]));
}

async function measureOnce(
  { name, keys, limit, isAdmitted }: RedisWorkload,
  contender: string,
  port: number,
  { placement, inFlight, warmupMs, measureMs }: RedisBenchOptions,
): Promise<RedisRound> {
  const plan = { contender, port, limit, keys, inFlight, warmupMs, measureMs };
  const round: RedisRound = JSON.parse(await runNode(placement, "child.mjs", [JSON.stringify(plan)]));
  const { decisions, admitted } = round;
  const isRight = isAdmitted ? admitted === decisions : admitted <= limit.requests;
  if (!isRight) throw new Error(`${contender} admitted ${admitted} of ${decisions} in ${name}`);
  return round;
}

function runNode(placement: Placement, script: string, further: readonly string[]): Promise<string> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [command = "", ...args] = [...placement.server, process.execPath, file, ...further];
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { ...process.env, NODE_ENV: "production" } }, (error, stdout, stderr) =>
      error ? reject(new Error(`${script} ${further.join(" ")} failed: ${stderr}`, { cause: error })) : resolve(stdout),
    );
  });
}
