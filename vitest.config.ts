import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^cello$/, replacement: source("index.ts") },
      { find: /^cello\/(jws|metrics|redis|testing)$/, replacement: source("$1/index.ts") },
      { find: /^cello\/(fastify|express|hono|fetch)$/, replacement: source("hosts/$1/index.ts") },
    ],
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "lab/**/*.test.ts"],
    environment: "node",
    testTimeout: 20_000,
  },
});
