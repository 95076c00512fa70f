// npm run bench:smoke: does the benchmark still work, and do all servers give equal answers? Never a time.

import { drawChart } from "./harness/chart.js";
import { Contest, type ContestOptions, type ContestResult } from "./harness/contest.js";
import { prepare, versions } from "./harness/install.js";
import { hasCommand, machine } from "./harness/machine.js";
import { markdown } from "./harness/report.js";
import { selectServers } from "./harness/servers.js";
import { selectWorkloads } from "./harness/workloads.js";
import { type MicroCase, selectCases } from "./micro/groups.js";
import { type MicroResult, measureCase } from "./micro/measure.js";
import { microMarkdown } from "./micro/report.js";
import { measureSizes, measureWorkload, type RedisBenchOptions, startPinnedRedis } from "./redis/measure.js";
import { redisMarkdown } from "./redis/report.js";
import { selectRedisWorkloads } from "./redis/workloads.js";

/** Workloads that between them run every check and every path of the harness; all servers where none are named. */
const CONTESTS: readonly (readonly [workload: string, servers: readonly string[] | undefined])[] = [
  ["session-write", undefined],
  ["es256-new", ["cello-app", "express-tuned", "hono-tuned"]],
  ["flood-429", ["node-replay", "cello-app"]],
  ["flood-401", ["cello-app", "cello-node"]],
  ["latency-half", ["node-bare", "cello-app"]],
];

const CASES = ["limiter-1000000", "limiter-bytes-1000000", "hs256-new", "es256-repeated", "cookie", "head-nonce"];
const FEW_KEYS = 2000;

const startMs = performance.now();
prepare();
const head = { date: new Date().toISOString(), command: "npm run bench:smoke", machine: machine(), isPinned: false };

const contests: ContestResult[] = [];
for (const [name, servers] of CONTESTS) {
  for (const workload of selectWorkloads([name])) {
    contests.push(await new Contest(workload, smokeOptions(servers)).run());
    console.info(`bench: ${name}: equal answers, and under load`);
  }
}
const results = await Promise.all(selectCases(CASES).map(smallCase));
console.info(`bench: ${results.length} micro-benchmarks ran once`);

const redisReport = hasCommand("redis-server", ["--version"]) ? await reportRedis() : "";

// The reports are made and thrown away: what they say after so short a run means nothing.
const versionsNow = versions();
const run = { ...head, versions: versionsNow, load: "sockets", rounds: 1, seconds: 1, contests };
const written = [
  markdown(run),
  drawChart(contests),
  microMarkdown({ ...head, versions: versionsNow, rounds: 1, results }),
  redisReport,
];
if (written.some((text) => text.includes("NaN"))) throw new Error("a report has a number that is none");
console.info(`bench: all in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);

/** Every limiter with counts in Redis, for a moment. */
async function reportRedis(): Promise<string> {
  const options: RedisBenchOptions = {
    placement: { server: [], load: [], isPinned: false },
    rounds: 1,
    warmupMs: 100,
    measureMs: 100,
    inFlight: 64,
    report: () => {},
  };
  const redis = await startPinnedRedis(options.placement);
  try {
    const results = [];
    for (const workload of selectRedisWorkloads(["many-keys", "flood"])) {
      results.push(await measureWorkload(workload, redis, options));
    }
    const sizes = await measureSizes(redis, options, 10);
    console.info(`bench: ${results.length} workloads for limits in Redis`);
    return redisMarkdown({ ...head, ...options, versions: versions(), results, sizes });
  } finally {
    await redis.stop();
  }
}

function smokeOptions(servers: readonly string[] | undefined): ContestOptions {
  return {
    servers: selectServers(servers),
    generator: "sockets",
    placement: { server: [], load: [], isPinned: false },
    rounds: 1,
    // Long enough for the slowest peer to answer every connection once, on a busy machine too.
    seconds: 1.5,
    warmupSeconds: 0.3,
    newTokens: 200,
    nodeOptions: [],
    report: () => {},
  };
}

function smallCase(microCase: MicroCase): Promise<MicroResult> {
  const params = microCase.params.keys === 1_000_000 ? { keys: FEW_KEYS } : microCase.params;
  return measureCase(
    { ...microCase, params },
    {
      placement: { server: [], load: [], isPinned: false },
      rounds: 1,
      warmupMs: 0,
      measureMs: 0,
      newTokens: 20,
      isSmoke: true,
      report: () => {},
    },
  );
}
