// npm run bench, bench:micro and bench:redis: one suite of measurements, by its name.
import { runSuite, type Suite } from "./harness/suite.js";
import { micro } from "./micro/suite.js";
import { redis } from "./redis/suite.js";
import { servers } from "./servers-suite.js";

const SUITES: Readonly<Record<string, Suite>> = { servers, micro, redis };

const [name = "", ...args] = process.argv.slice(2);
const suite = SUITES[name];
if (suite === undefined) throw new Error(`no suite "${name}": ${Object.keys(SUITES).join(", ")}`);
await runSuite(suite, args);
