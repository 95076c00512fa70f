// Dead files, exports and dependencies ("npm run check:unused").
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8"));

/** The source of each file that package.json offers to users. */
const offered = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
  .map((target) => (typeof target === "string" ? target : target.default))
  .filter((target) => target.startsWith("./dist/"))
  .map((target) => target.replace("./dist/", "src/").replace(/\.js$/, ".ts"));

// bench/ and lab/ are packages of their own and measure the built package.
/** @type {import("knip").KnipConfig} */
export default {
  entry: [...offered, "scripts/*.mjs", "examples/**/*.{ts,mts,js,mjs}", "test/fuzz/server.ts"],
  project: ["src/**/*.ts", "scripts/**/*.mjs", "examples/**", "test/**/*.ts", "lab/report/*.ts"],
  ignoreExportsUsedInFile: true,
  ignoreBinaries: ["openssl", "redis-server"],
  // In programs that test/package writes and compiles or runs beside the packed package.
  ignoreDependencies: [
    "@fastify/cookie",
    "@fastify/secure-session",
    "@fastify/session",
    "@types/cookie-session",
    "@types/express-session",
    "cookie-session",
    "express-session",
  ],
  // An adapter is both a named export and the default one, as its host's users are used to.
  exclude: ["duplicates"],
};
