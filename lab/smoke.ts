// npm run lab:smoke: does the lab still work, and does every request have one end? Never whether a figure holds.
import { buildCello, installPackage } from "../bench/harness/install.js";
import { runTrial } from "./harness/trial.js";
import type { ProtectionName, TrialResult } from "./result.js";

const CHECKED: readonly ProtectionName[] = [
  "none",
  "cello-adaptive",
  "cello-shedding",
  "under-pressure",
  "toobusy",
  "gradient",
];
const CLIENTS = 10;
/** What a server with a tenth of the usual work does not reach on a busy machine. */
const BASELINE = { capacity: 150, goodWithinMs: 500 };

const startMs = performance.now();
installPackage(new URL("./", import.meta.url));
buildCello();
// All at once: how long anything takes is not looked at.
const results = await Promise.all(CHECKED.map(smokeTrial));
for (const result of results) checkCounts(result);
console.info(`lab: ${results.length} protections in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);

function smokeTrial(protection: ProtectionName, number: number): Promise<TrialResult> {
  return runTrial(
    { work: "cpu", protection, shape: "steady", clients: CLIENTS, load: 2, seconds: 1 },
    {
      baseline: BASELINE,
      placement: { server: [], load: [], isPinned: false },
      number,
      settings: { amount: 2000 },
      settleSeconds: 0,
    },
  );
}

/** @throws Error when requests were lost, counted twice, or none was answered */
function checkCounts({ protection, counts, slices }: TrialResult): void {
  const { offered, good, late, refused, failed } = counts;
  if (offered === 0) throw new Error(`${protection}: nothing was offered`);
  if (offered !== good + late + refused + failed) throw new Error(`${protection}: ${JSON.stringify(counts)}`);
  const inSlices = slices.reduce((sum, slice) => sum + slice.offered, 0);
  if (inSlices !== offered) throw new Error(`${protection}: ${inSlices} in the slices, ${offered} in all`);
  if (good + late === 0) throw new Error(`${protection}: no answer at all`);
  console.info(`lab: ${protection}: ${offered} offered, ${good + late} answered, ${refused} refused, ${failed} failed`);
}
