import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const source = (path: string) => at(`src/${path}`);
const cores = availableParallelism();

/** What asserts a time, or needs the processor for itself. */
const timing = [
  "lab/load/open-loop.test.ts",
  "src/overload/event-loop.test.ts",
  "test/{load,shedding}.test.ts",
  "test/redis/{busy,cluster-faults,connection,failure,fleet-example,limits-load,replay,revocation}.test.ts",
];

/** What patches its process, measures it or needs it new, and must not share it with other files. */
const alone = ["src/hosts/node/prepared-lines.test.ts"];
const PATCHES =
  /\bvi\.(?!fn\b|mocked\b)|\bprocess\.(?:on|once|emit|chdir|memoryUsage|env\.\w+ =)|\bsetFlagsFromString\b|\b(?:console|globalThis|prototype)\.\w+ = /;
const patching = ["src", "test", "lab"].flatMap((folder) =>
  readdirSync(at(folder), { recursive: true, encoding: "utf8" })
    .map((file) => `${folder}/${file}`)
    .filter((file) => file.endsWith(".test.ts") && PATCHES.test(readFileSync(at(file), "utf8"))),
);

/** A group of files with workers of its own; one lane runs after the other. */
function lane(name: string, order: number, test: TestProjectInlineConfiguration["test"]) {
  return { extends: true, test: { name, sequence: { groupOrder: order }, ...test } } as const;
}

/** `npm test` tries what it has built, which needs not be compiled and loaded in pieces by each worker. */
const built: Plugin = {
  name: "built-sources",
  enforce: "pre",
  async resolveId(specifier, importer) {
    const found = await this.resolve(specifier, importer, { skipSelf: true });
    const path = found?.id.startsWith(source("")) ? found.id.slice(source("").length) : "";
    const compiled = at(`dist/${path.replace(/\.ts$/, ".js")}`);
    return path.endsWith(".ts") && existsSync(compiled) ? compiled : found;
  },
};

export default defineConfig({
  plugins: process.env.CELLO_BUILT === "1" ? [built] : [],
  resolve: {
    alias: [
      { find: /^cello$/, replacement: source("index.ts") },
      { find: /^cello\/(jws|metrics|redis|testing)$/, replacement: source("$1/index.ts") },
      { find: /^cello\/(fastify|express|hono|fetch)$/, replacement: source("hosts/$1/index.ts") },
    ],
  },
  test: {
    environment: "node",
    server: { deps: { external: [/\/dist\//] } },
    // A machine may be busy; what asserts a time says so itself.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    globalSetup: "test/shared/setup.ts",
    // Tests of one file that say they are concurrent spend their time waiting.
    maxConcurrency: 12,
    projects: [
      lane("unit", 1, {
        include: ["src/**/*.test.ts"],
        exclude: [...timing, ...alone, ...patching],
        pool: "threads",
        isolate: false,
        maxWorkers: Math.max(2, cores),
      }),
      lane("system", 2, {
        include: ["{test,lab}/**/*.test.ts"],
        exclude: [...timing, ...alone, ...patching],
        pool: "forks",
        isolate: false,
        // Half of it waits.
        maxWorkers: cores + 2,
      }),
      lane("alone", 2, {
        include: [...alone, ...patching],
        exclude: timing,
        pool: "forks",
        maxWorkers: cores + 2,
      }),
      lane("timing", 3, { include: timing, pool: "forks", maxWorkers: 1 }),
    ],
  },
});
