import { prepare } from "../harness/install.js";
import { BENCH, roundOptions, type Suite } from "../harness/suite.js";
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
    ...roundOptions("case", 1000, 500),
  },
  async run(run) {
    const cases = selectCases(run.list("only"));
    prepare();
    const options = { ...run.rounds(), newTokens: 20_000, isSmoke: false };
    const results: MicroResult[] = [];
    for (const microCase of cases) results.push(await measureCase(microCase, options));
    const result = { ...run.head(), rounds: options.rounds, results };
    return { markdown: microMarkdown(result), trials: microTrials(results) };
  },
};
