import type { OpenLoopPlan, OpenLoopResult } from "./load-plan.js";

/** Runs the plan to its end and waits until every request is answered or given up. */
export function runOpenLoop(plan: OpenLoopPlan): Promise<OpenLoopResult>;
