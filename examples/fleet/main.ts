// Four servers, one Redis, and what happens when they die: "npm run fleet".
import { cleanUpOnExit } from "./children.js";
import { readOptions, USAGE, UsageError } from "./options.js";
import { summarize, table } from "./report.js";
import { Scenario } from "./scenario.js";

/** The exit code when nothing broke its promise, and the machine was too busy for all to be kept in time. */
const TOO_BUSY = 3;

cleanUpOnExit();
process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = readOptions(args);
    if (options === undefined) {
      console.info(USAGE);
      return 0;
    }
    const outcome = await new Scenario(options, (line) => console.warn(line)).run();
    const summary = summarize(outcome, options);
    console.info(options.json ? JSON.stringify(summary, undefined, 2) : `\n${table(summary)}`);
    if (summary.problems.length > 0) return 1;
    return summary.ok ? 0 : TOO_BUSY;
  } catch (error) {
    console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : error);
    return 1;
  }
}
