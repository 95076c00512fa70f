import { prepare } from "../harness/install.js";
import { BENCH, type Suite } from "../harness/suite.js";
import { selectCases } from "./groups.js";
import { type MicroResult, measureCase } from "./measure.js";
import { microMarkdown, microTrials } from "./report.js";

/** Single parts against the same parts of the peers. */
export const micro: Suite = {
  command: "npm run bench:micro",
  folder: BENCH,
  output: "micro",
  options: {
    only: { takes: "names", help: "cases, comma-separated; all when not given", isPart: true },
    rounds: { takes: "number", help: "of each case", default: "5" },
    duration: { takes: "ms", help: "of each measurement", default: "1000" },
    warmup: { takes: "ms", help: "before each measurement", default: "500" },
  },
  async run(run) {
    const cases = selectCases(run.list("only"));
    prepare();
    const options = {
      placement: run.placement,
      rounds: run.count("rounds"),
      warmupMs: run.count("warmup"),
      measureMs: run.count("duration"),
      newTokens: 20_000,
      isSmoke: false,
      report: run.report,
    };
    const results: MicroResult[] = [];
    for (const microCase of cases) results.push(await measureCase(microCase, options));
    const result = { ...run.head(), rounds: options.rounds, results };
    return { markdown: microMarkdown(result), trials: microTrials(results) };
  },
};
