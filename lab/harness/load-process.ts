import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Placement } from "../../bench/harness/machine.js";
import type { ClosedLoopPlan, ClosedLoopResult, OpenLoopPlan, OpenLoopResult } from "../load/load-plan.js";

const GENERATOR = fileURLToPath(new URL("../load/main.mjs", import.meta.url));

/** Runs open-loop load in a process of its own. */
export async function openLoop(plan: OpenLoopPlan, placement: Placement): Promise<OpenLoopResult> {
  return JSON.parse(await generate("open", plan, placement));
}

/** Runs closed-loop load in a process of its own. */
export async function closedLoop(plan: ClosedLoopPlan, placement: Placement): Promise<ClosedLoopResult> {
  return JSON.parse(await generate("closed", plan, placement));
}

function generate(loop: string, plan: OpenLoopPlan | ClosedLoopPlan, placement: Placement): Promise<string> {
  const [command = process.execPath, ...args] = [...placement.load, process.execPath, GENERATOR, loop];
  return new Promise((resolve, reject) => {
    execFile(command, [...args, JSON.stringify(plan)], { maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
      error ? reject(new Error(`the load generator failed: ${stderr}`, { cause: error })) : resolve(stdout),
    );
  });
}
