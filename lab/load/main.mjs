// node main.mjs <open|closed> <plan as JSON>: runs the plan and prints the result as one line of JSON.
import { runClosedLoop } from "./closed-loop.mjs";
import { runOpenLoop } from "./open-loop.mjs";

const [loop, plan] = process.argv.slice(2);
const run = loop === "closed" ? runClosedLoop : runOpenLoop;
process.stdout.write(`${JSON.stringify(await run(JSON.parse(plan)))}\n`, () => process.exit());
