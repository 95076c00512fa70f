/**
 * npm run fuzz: drives every host over raw sockets with what clients do when they do not behave, and
 * looks whether the invariants hold: every place comes back, every request is answered or its connection
 * closed, no 500 but on purpose, nothing thrown that nobody catches, memory flat.
 */
import { parseArgs } from "node:util";
import { playConnection } from "./client.js";
import { HostProcess } from "./host-process.js";
import { hosts, isHttp2Host } from "./hosts.js";
import { playSession } from "./http2-client.js";
import { Random } from "./random.js";
import { createScenario, type Scenario } from "./scenario.js";
import type { Ports } from "./server.js";

const USAGE = `npm run fuzz -- [--seconds 600] [--seed N] [--host NAME] [--scenarios N] [--only TEXT]
  --seconds    how long, over all hosts (default 600)
  --seed       of the first scenario (default: another each time; it is printed)
  --host       ${Object.keys(hosts).join(", ")} (default: all)
  --scenarios  stop after so many: --seed N --host NAME --scenarios 1 plays one again
  --only       heed only problems that hold this text: to look for one fault behind another
  CELLO_SOURCE=DIR in the environment: the sources of another checkout`;

/** After so many milliseconds at rest nothing may be in progress. */
const REST_MS = 5000;
/** The heap may grow by so much from a third of the run to its end: a leak of one request each grows by more. */
const GROWTH = 1.4;
const GROWTH_MIB = 12;
/** Fewer scenarios say nothing about memory. */
const ENOUGH_SCENARIOS = 30;

/** A scenario in which an invariant did not hold. */
interface Failure {
  readonly host: string;
  readonly scenario: Scenario;
  readonly problems: readonly string[];
}

/** A host under fuzz, in a process of its own. */
class FuzzedHost {
  readonly #process: HostProcess;
  #ports: Ports | undefined;
  #baseMiB: number | undefined;
  played = 0;

  constructor(readonly name: string) {
    this.#process = new HostProcess(name);
  }

  async start(): Promise<void> {
    this.#ports = await this.#process.listening();
  }

  /** Plays a scenario; what was wrong in it. */
  async play({ seed, mood, connections }: Scenario): Promise<readonly string[]> {
    this.played++;
    await this.#process.mood(mood);
    // Odd seeds count in a store, so that a seed and a host say all about a scenario.
    const target = { host: this.name, port: this.#ports?.[seed % 2 === 0 ? "memory" : "store"] ?? 0 };
    const play = isHttp2Host(this.name) ? playSession : playConnection;
    const played = await Promise.all(connections.map((connection) => play(target, connection)));
    await this.#process.mood({ stallMs: 0, failEvery: 0 });
    const problems = [...played.flat(), ...(await atRest(this.#process))];
    return problems.length > 0 ? problems : play(target, PROBE);
  }

  async rememberMemory(): Promise<void> {
    this.#baseMiB = await this.#process.heapMiB();
  }

  async memoryProblems(): Promise<readonly string[]> {
    const base = this.#baseMiB;
    if (base === undefined || this.played < ENOUGH_SCENARIOS) return [];
    const now = await this.#process.heapMiB();
    if (now < Math.max(base * GROWTH, base + GROWTH_MIB)) return [];
    return [`${this.name}: the heap grew from ${base.toFixed(1)} to ${now.toFixed(1)} MiB`];
  }

  stop(): void {
    this.#process.stop();
  }
}

/** A client that behaves: it is answered, whatever came before. */
const PROBE = {
  client: "probe",
  afterMs: 0,
  requests: [{ method: "GET", path: "/quick" }],
  isPipelined: false,
  pieces: 1,
  ending: "answered",
  lingerMs: 0,
} as const;

async function atRest(process: HostProcess): Promise<readonly string[]> {
  const lastMs = performance.now() + REST_MS;
  const crashes: string[] = [];
  for (;;) {
    const { places, inFlight, waiting, ...state } = await process.state();
    crashes.push(...state.crashes);
    if (places === 0 && inFlight === 0 && waiting === 0) return crashes;
    if (performance.now() > lastMs) {
      const left = `${places} places did not come back; ${inFlight} requests in flight and ${waiting} that wait, at rest`;
      return [...crashes, left];
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The loop of one host. */
async function fuzz(
  host: FuzzedHost,
  firstSeed: number,
  step: number,
  plan: {
    readonly endMs: number;
    readonly thirdMs: number;
    readonly scenarios: number;
    readonly only: string;
    isOver: boolean;
  },
): Promise<Failure | undefined> {
  let isRemembered = false;
  for (let index = 0; index < plan.scenarios && !plan.isOver && performance.now() < plan.endMs; index++) {
    const seed = (firstSeed + index * step) >>> 0;
    const scenario = createScenario(seed, new Random(seed));
    const problems = (await host.play(scenario)).filter((problem) => problem.includes(plan.only));
    if (problems.length > 0) {
      plan.isOver = true;
      return { host: host.name, scenario, problems };
    }
    if (!isRemembered && performance.now() > plan.thirdMs) {
      isRemembered = true;
      await host.rememberMemory();
    }
  }
  return undefined;
}

function report({ host, scenario, problems }: Failure): void {
  const { seed } = scenario;
  console.error(`\n${host}: an invariant does not hold in the scenario of seed ${seed}`);
  for (const problem of problems.slice(0, 20)) console.error(`  - ${problem}`);
  console.error(`  stores: ${JSON.stringify(scenario.mood)}`);
  for (const { requests, ...how } of scenario.connections) {
    const sent = requests.map(({ method, path, body }) => `${method} ${path}${body ? ` (${body.length})` : ""}`);
    console.error(`  ${JSON.stringify(how)}: ${[...counted(sent)].join(", ")}`);
  }
  console.error(`\nAgain: npm run fuzz -- --seed ${seed} --host ${host} --scenarios 1`);
}

/** A flood is told by its number. */
function* counted(sent: readonly string[]): Generator<string> {
  let count = 0;
  for (const [index, request] of sent.entries()) {
    count++;
    if (sent[index + 1] === request) continue;
    yield count === 1 ? request : `${count} x ${request}`;
    count = 0;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "600" },
      seed: { type: "string" },
      host: { type: "string", multiple: true },
      scenarios: { type: "string" },
      only: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  const names = values.host ?? Object.keys(hosts);
  const seconds = Number(values.seconds);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const scenarios = Number(values.scenarios ?? Number.POSITIVE_INFINITY);
  const isUsable = [seconds, seed, scenarios].every((value) => value >= 0) && Number.isSafeInteger(seed);
  if (values.help || !isUsable || names.some((name) => !Object.hasOwn(hosts, name))) {
    console.error(USAGE);
    return 2;
  }
  console.info(`fuzz: seed ${seed}, ${seconds} s, ${names.join(", ")}`);
  const fuzzed = names.map((name) => new FuzzedHost(name));
  try {
    // To start takes a while, and is no time to fuzz.
    await Promise.all(fuzzed.map((host) => host.start()));
    const startMs = performance.now();
    const plan = {
      endMs: startMs + seconds * 1000,
      thirdMs: startMs + seconds * 333,
      scenarios,
      only: values.only,
      isOver: false,
    };
    // Of several hosts each has seeds of its own.
    const runs = fuzzed.map((host, index) => fuzz(host, seed + index, fuzzed.length, plan));
    const failures = (await Promise.all(runs)).filter((failure) => failure !== undefined);
    for (const failure of failures) report(failure);
    const leaks: string[] = [];
    if (failures.length === 0) {
      for (const host of fuzzed) leaks.push(...(await host.memoryProblems()));
    }
    for (const leak of leaks) console.error(leak);
    const counts = fuzzed.map(({ name, played }) => `${name} ${played}`).join(", ");
    console.info(`fuzz: ${counts} scenarios in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    return failures.length + leaks.length > 0 ? 1 : 0;
  } finally {
    for (const host of fuzzed) host.stop();
  }
}

process.exitCode = await main();
