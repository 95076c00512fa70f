// npm run bench:redis: limits in one Redis, against the limiters that others keep there.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { prepare, versions } from "../harness/install.js";
import { hasCommand, machine, placement } from "../harness/machine.js";
import { measureSizes, measureWorkload, type RedisResult, startPinnedRedis } from "./measure.js";
import { redisMarkdown, writeRedisReport } from "./report.js";
import { selectRedisWorkloads } from "./workloads.js";

const HELP = `npm run bench:redis -- [options]      (needs redis-server on the PATH)

  --only <names>       workloads, comma-separated (default: one-key,many-keys,flood)
  --rounds <number>    rounds per workload (default: 5)
  --duration <ms>      of each measurement (default: 2000)
  --warmup <ms>        before each measurement (default: 1000)
  --output <name>      results/<name>.json and .md (default: redis; a part of the run: redis-partial)
  --help`;

const IN_FLIGHT = 64;
const WEIGHED = 1000;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    duration: { type: "string", default: "2000" },
    warmup: { type: "string", default: "1000" },
    output: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.info(HELP);
else await main();

async function main(): Promise<void> {
  const workloads = selectRedisWorkloads(values.only?.split(","));
  if (!hasCommand("redis-server", ["--version"])) throw new Error("redis-server is not installed");
  prepare();
  const place = placement();
  if (!place.isPinned) console.error("no two cores to pin to: Redis and its clients share them, numbers are rough");
  const options = {
    placement: place,
    rounds: Number(values.rounds),
    warmupMs: Number(values.warmup),
    measureMs: Number(values.duration),
    inFlight: IN_FLIGHT,
    report: console.error,
  };
  const redis = await startPinnedRedis(place);
  try {
    const results: RedisResult[] = [];
    for (const workload of workloads) results.push(await measureWorkload(workload, redis, options));
    const sizes = values.only === undefined ? await measureSizes(redis, options, WEIGHED) : [];
    const run = {
      date: new Date().toISOString(),
      command: ["npm run bench:redis", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
      machine: machine(),
      versions: contenderVersions(await redis.command("INFO", "server")),
      isPinned: place.isPinned,
      rounds: options.rounds,
      measureMs: options.measureMs,
      inFlight: options.inFlight,
      results,
      sizes,
    };
    const name = values.output ?? (values.only === undefined ? "redis" : "redis-partial");
    writeRedisReport(run, new URL("../results/", import.meta.url), name);
    console.info(redisMarkdown(run));
  } finally {
    await redis.stop();
  }
}

function contenderVersions(serverInfo: string): Record<string, string> {
  const all = versions();
  const names = ["node", "cello", "rate-limiter-flexible", "@fastify/rate-limit"];
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL("../../node_modules/ioredis/package.json", import.meta.url), "utf8"),
  );
  return {
    redis: /redis_version:(\S+)/.exec(serverInfo)?.[1] ?? "unknown",
    ...Object.fromEntries(names.map((name) => [name, all[name] ?? "unknown"])),
    ioredis: manifest.version,
  };
}
