import { type ContestResult, perSecond, type ServerRounds } from "./contest.js";
import { serverTitle } from "./servers.js";
import { medianRatio } from "./statistics.js";

/** A figure that the project has set itself, and what was measured. */
export interface Figure {
  readonly title: string;
  readonly target: string;
  readonly value: number;
  readonly isMet: boolean;
}

/** Requests per second of Cello's App against another server, at least so many times. */
const THROUGHPUT_TARGETS: readonly (readonly [workload: string, against: string, atLeast: number])[] = [
  ["all-warm", "node-replay", 0.8],
  ["all-warm", "fastify-readme", 3],
  ["all-warm", "express-readme", 12],
  ["all-warm", "hono-readme", 15],
  ["all-warm", "fastify-tuned", 3],
  ["all-warm", "express-tuned", 6],
  ["all-warm", "hono-tuned", 3],
  ["all-new", "node-replay", 0.5],
  ["all-new", "fastify-readme", 2],
  ["flood-429", "node-replay", 0.9],
  ["flood-401", "node-replay", 0.9],
];

const LATENCY_TARGET = { workload: "latency-half", against: "node-bare", atMost: 1.3 };

/** The figures that these results allow to say something about. */
export function figures(contests: readonly ContestResult[]): Figure[] {
  const found: Figure[] = [];
  for (const [workload, against, atLeast] of THROUGHPUT_TARGETS) {
    const title = `${titleOf(contests, workload)}: against ${serverTitle(against)}`;
    const value = ratio(contests, workload, against, (rounds) => rounds.map(perSecond));
    if (value !== undefined) found.push({ title, target: `>= ${atLeast} x`, value, isMet: value >= atLeast });
  }
  const { workload, against, atMost } = LATENCY_TARGET;
  const value = ratio(contests, workload, against, (rounds) => rounds.map(({ p99Ms }) => p99Ms));
  if (value !== undefined) {
    const title = `p99 latency at half of the maximum: against ${serverTitle(against)}`;
    found.push({ title, target: `<= ${atMost} x`, value, isMet: value <= atMost });
  }
  return found;
}

function ratio(
  contests: readonly ContestResult[],
  workload: string,
  against: string,
  read: (rounds: ServerRounds["rounds"]) => number[],
): number | undefined {
  const servers = contests.find((contest) => contest.workload === workload)?.servers;
  const cello = servers?.find(({ server }) => server === "cello-app");
  const other = servers?.find(({ server }) => server === against);
  if (cello === undefined || other === undefined) return undefined;
  return medianRatio(read(cello.rounds), read(other.rounds));
}

function titleOf(contests: readonly ContestResult[], workload: string): string {
  return contests.find((contest) => contest.workload === workload)?.title ?? workload;
}
