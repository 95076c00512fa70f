// "npm run test:nodes -- 22 24 26": the tests on other versions of Node, from the build that is there. What is no
// version goes to vitest: npm run test:nodes -- 24 src/jwt
import { execFileSync, spawnSync } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const isVersion = (word) => /^\d+(\.\d+){0,2}$/.test(word);
const words = process.argv.slice(2);
const versions = words.filter(isVersion);
if (versions.length === 0) throw new Error('name versions of Node, such as "npm run test:nodes -- 22 24"');

const failed = versions.filter((version) => !passesOn(version));
if (failed.length > 0) {
  console.error(`The tests failed on Node ${failed.join(", ")}.`);
  process.exitCode = 1;
}

function passesOn(version) {
  // The npm package "node" brings the binary; npx keeps it in npm's cache.
  const command = ["-y", "-p", `node@${version}`, "node", "-p", "process.execPath"];
  const binary = execFileSync("npx", command, { cwd: root, encoding: "utf8" }).trim();
  console.info(`\nNode ${execFileSync(binary, ["--version"], { encoding: "utf8" }).trim()}`);
  return run(binary) === 0;
}

/** Runs vitest, and all that the tests start, with this Node. */
function run(binary) {
  const env = { ...process.env, CELLO_BUILT: "1", PATH: [dirname(binary), process.env.PATH].join(delimiter) };
  const others = words.filter((word) => !isVersion(word));
  return spawnSync(binary, [vitest, "run", ...others], { cwd: root, env, stdio: "inherit" }).status;
}
