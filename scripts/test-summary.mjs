// Says in one line how the last "npm test" went, from the file that vitest wrote.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Where "npm test" lets vitest write its results. */
export const resultsFile = fileURLToPath(new URL("../node_modules/.cache/cello/test-results.json", import.meta.url));

/**
 * `N passed, N failed, N skipped`; all zero when the tests did not run.
 * @returns {string}
 */
export function testSummary() {
  const { passed, failed, skipped } = readCounts();
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function readCounts() {
  let results;
  try {
    results = JSON.parse(readFileSync(resultsFile, "utf8"));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
  // A file that could not be loaded has no tests to count and is a failure all the same.
  const broken = results.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + broken.length,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.info(testSummary());
