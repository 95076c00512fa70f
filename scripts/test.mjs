// "npm test": installs what the tests need, builds, runs them all, and says how it went in one line.
// Arguments go to vitest: npm test -- src/jwt
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureTestPrograms } from "./debian-packages.mjs";
import { resultsFile, testSummary } from "./test-summary.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const script = (path) => fileURLToPath(new URL(path, new URL("../", import.meta.url)));

rmSync(resultsFile, { force: true });
mkdirSync(dirname(resultsFile), { recursive: true });
process.exitCode = runTests();

function runTests() {
  try {
    ensureTestPrograms();
  } catch (error) {
    console.error(`\n${error.message}\n`);
    return 1;
  }
  const built = node(script("scripts/build.mjs"));
  if (built !== 0) return built;
  // Tests of the package and the command take what stands in dist/, and do not compile again.
  process.env.CELLO_BUILT = "1";
  const status = node(
    script("node_modules/vitest/vitest.mjs"),
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${resultsFile}`,
    ...process.argv.slice(2),
  );
  console.info(testSummary());
  return status;
}

/** Runs a script with this Node, in this terminal. */
function node(...args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1;
}
