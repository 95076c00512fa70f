import { shareOf } from "./allowance.js";
import type { FleetOptions } from "./options.js";
import type { Phase } from "./phases.js";
import { LIMIT } from "./policy.js";
import { type Outcome, RECOVERY_MS } from "./scenario.js";

/** One line of the table. */
export interface PhaseSummary {
  readonly phase: string;
  readonly seconds: number;
  readonly admitted: number;
  readonly refused: number;
  readonly unavailable: number;
  readonly failed: number;
  readonly limit: number;
  readonly slowestMs: number;
}

/** The result, as `--json` prints it. */
export interface Summary {
  readonly ok: boolean;
  /** What did not hold. */
  readonly problems: readonly string[];
  /** What did not hold in time, on a machine that was too busy to say whose fault that is. */
  readonly undecided: readonly string[];
  /** How late the machine made timers come at most, in milliseconds. */
  readonly latestTimerMs: number;
  readonly processes: number;
  readonly lease: "auto" | number | "off";
  readonly requests: number;
  readonly window: number;
  readonly phases: readonly PhaseSummary[];
  /** Milliseconds from the return of Redis until every server served sessions again. */
  readonly normalAfterMs: number | null;
  /** Of how many `store.error` and `store.recovered` events the servers told. */
  readonly storeErrors: number;
  readonly storeRecoveries: number;
  readonly pids: readonly number[];
}

/** Timers that come later than this say that the machine was too busy for promises that have a time, in milliseconds. */
const BUSY_MS = 150;

/** Something that did not hold. */
interface Problem {
  readonly text: string;
  /** Whether a machine that gives its processes no time can be the cause. */
  readonly isOfTime: boolean;
}

const broken = (text: string): Problem => ({ text, isOfTime: false });
const late = (text: string): Problem => ({ text, isOfTime: true });

/** Judges a run. */
export function summarize(outcome: Outcome, { processes, lease }: FleetOptions): Summary {
  const found = problemsOf(outcome, processes);
  const isBusy = outcome.latestTimerMs > BUSY_MS;
  const problems = found.filter(({ isOfTime }) => !(isBusy && isOfTime)).map(({ text }) => text);
  const undecided = found.filter(({ isOfTime }) => isBusy && isOfTime).map(({ text }) => text);
  const count = (kind: string) => outcome.storeEvents.filter((event) => event.kind === kind).length;
  return {
    ok: found.length === 0,
    problems,
    undecided,
    latestTimerMs: Math.round(outcome.latestTimerMs),
    processes,
    lease: lease ?? "off",
    ...LIMIT,
    phases: outcome.phases.map(summarizePhase),
    normalAfterMs: outcome.normalAfterMs ?? null,
    storeErrors: count("store.error"),
    storeRecoveries: count("store.recovered"),
    pids: outcome.pids,
  };
}

function summarizePhase(phase: Phase): PhaseSummary {
  const { name, seconds, admitted, refused, unavailable, failed, hung, limit, slowestMs } = phase;
  return {
    phase: name,
    seconds: Math.round(seconds * 10) / 10,
    admitted,
    refused,
    unavailable,
    failed: failed + hung,
    limit,
    slowestMs: Math.round(slowestMs),
  };
}

/** What must hold, and did not. */
function problemsOf(outcome: Outcome, processes: number): readonly Problem[] {
  const problems = outcome.phases.flatMap((phase) =>
    phaseProblems(phase).map(({ text, isOfTime }) => ({ text: `${phase.name}: ${text}`, isOfTime })),
  );
  const { normalAfterMs, inventedSessions, storeEvents } = outcome;
  if (normalAfterMs === undefined || normalAfterMs > RECOVERY_MS) {
    problems.push(late(`sessions were not served by every server within ${RECOVERY_MS} ms of the return of Redis`));
  }
  if (inventedSessions > 0) problems.push(broken(`${inventedSessions} sessions were served without Redis`));
  // Each server tells of the failure and of the recovery of both uses of the store.
  const told = new Set(storeEvents.map(({ server, kind, store }) => `${server} ${kind} ${store}`));
  if (told.size !== processes * 4) problems.push(late("a server did not tell that its store failed and recovered"));
  if (sharesWithoutRedis(outcome) > LIMIT.requests) {
    problems.push(broken("the shares of the servers are more than the limit"));
  }
  if (outcome.phases.at(-1)?.servedBy.size !== processes) {
    problems.push(late("a server that came back got no requests"));
  }
  return problems;
}

/** What the servers granted together, each its share, when Redis was killed. */
function sharesWithoutRedis({ phases, storeEvents }: Outcome): number {
  const [, outage] = phases;
  const shares = new Map<number, number>();
  for (const { server, kind, store, atMs, processes } of storeEvents) {
    if (kind !== "store.error" || store !== "rate-limit" || outage === undefined) continue;
    if (atMs >= outage.beganAtMs && atMs <= outage.endedAtMs) shares.set(server, shareOf(processes));
  }
  return [...shares.values()].reduce((sum, share) => sum + share, 0);
}

function phaseProblems(phase: Phase): readonly Problem[] {
  const { taken, limit, refused, failed, hung, unexpected, lostSessions } = phase;
  const problems: Problem[] = [];
  const inflow = Math.floor((LIMIT.requests / LIMIT.window) * phase.seconds);
  if (taken > limit) problems.push(broken(`${taken} requests were let through, the limit is ${limit}`));
  if (refused === 0) problems.push(late("there was not enough load to reach the limit"));
  // A limit that refuses everybody is kept too: at least half of what flows into a bucket must come through.
  else if (taken < inflow / 2) problems.push(late(`only ${taken} requests were let through, and ${inflow} had room`));
  if (failed > 0) problems.push(broken(`${failed} requests failed`));
  if (hung > 0) problems.push(late(`${hung} requests were not answered in time`));
  if (unexpected > 0) problems.push(broken(`${unexpected} answers were not as they should be`));
  if (lostSessions > 0) problems.push(broken(`${lostSessions} sessions were lost`));
  return problems;
}

const COLUMNS = ["phase", "seconds", "admitted", "refused", "unavailable", "failed", "limit", "slowestMs"] as const;
const HEADINGS: Readonly<Record<string, string>> = {
  refused: "refused (429)",
  unavailable: "unavailable (503)",
  slowestMs: "slowest (ms)",
};

/** The table for people, and the verdict. */
export function table(summary: Summary): string {
  const { phases, normalAfterMs, storeErrors, storeRecoveries } = summary;
  const rows = [COLUMNS.map((column) => HEADINGS[column] ?? column)];
  for (const phase of phases) rows.push(COLUMNS.map((column) => String(phase[column])));
  const widths = COLUMNS.map((_column, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join("  "),
  );
  return [
    ...lines,
    "",
    `Sessions were served again by every server ${normalAfterMs ?? "?"} ms after Redis was back.`,
    `The servers told of ${storeErrors} failures of their stores and ${storeRecoveries} recoveries.`,
    ...verdict(summary),
  ].join("\n");
}

function verdict({ ok, problems, undecided, latestTimerMs }: Summary): readonly string[] {
  const list = (texts: readonly string[]) => texts.map((text) => `- ${text}`);
  if (ok) return ["All that was promised held."];
  return [
    ...(problems.length === 0 ? [] : ["NOT as promised:", ...list(problems)]),
    ...(undecided.length === 0
      ? []
      : [
          `This machine was too busy to tell (a timer came ${latestTimerMs} ms late). Run it again when it is quiet:`,
          ...list(undecided),
        ]),
  ];
}
