import { readFileSync } from "node:fs";
import { prepare } from "../harness/install.js";
import { hasCommand } from "../harness/machine.js";
import { BENCH, roundOptions, type Suite } from "../harness/suite.js";
import { measureSizes, measureWorkload, type RedisResult, startPinnedRedis } from "./measure.js";
import { redisMarkdown, redisTrials } from "./report.js";
import { selectRedisWorkloads } from "./workloads.js";

const IN_FLIGHT = 64;
const WEIGHED = 1000;

/** Limits in one Redis, against the limiters that others keep there. */
export const redis: Suite = {
  command: "npm run bench:redis",
  note: "Needs redis-server on the PATH.",
  folder: BENCH,
  output: "redis",
  options: {
    only: { takes: "names", help: "one-key, many-keys, flood, comma-separated; all when not given", isPart: true },
    ...roundOptions("workload", 2000, 1000),
  },
  async run(run) {
    const workloads = selectRedisWorkloads(run.list("only"));
    if (!hasCommand("redis-server", ["--version"])) throw new Error("redis-server is not installed");
    prepare();
    const options = { ...run.rounds(), inFlight: IN_FLIGHT };
    const server = await startPinnedRedis(run.placement);
    try {
      const results: RedisResult[] = [];
      for (const workload of workloads) results.push(await measureWorkload(workload, server, options));
      const sizes = run.isPart ? [] : await measureSizes(server, options, WEIGHED);
      const head = run.head();
      const versions = contenderVersions(head.versions, await server.command("INFO", "server"));
      const { rounds, measureMs, inFlight } = options;
      const result = { ...head, versions, rounds, measureMs, inFlight, results, sizes };
      return { markdown: redisMarkdown(result), trials: [...redisTrials(results), ...sizes] };
    } finally {
      await server.stop();
    }
  },
};

function contenderVersions(all: Readonly<Record<string, string>>, serverInfo: string): Record<string, string> {
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
