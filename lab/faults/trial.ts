import { setTimeout as wait } from "node:timers/promises";
import { Jwt } from "../../src/index.js";
import type { Fault } from "./faults.js";
import { type Server, startServer } from "./fleet.js";
import type { Outcome } from "./promises.js";
import { PROCESSES, QUOTA, SECRET } from "./settings.js";
import { type Answer, ask, type Credentials, type Kind, Traffic } from "./traffic.js";

/** What came of a fault. */
export interface Trial extends Outcome {
  readonly name: string;
  /** Promises that were broken; those that the machine was too busy to judge. */
  readonly broken: readonly string[];
  readonly undecided: readonly string[];
  readonly latestTimerMs: number;
}

const SESSIONS = 24;
const QUIET_MS = 1500;
/** How long a fleet may take until all is well, in milliseconds. */
const START_MS = 60_000;
/** How long it is watched after its end, in milliseconds, and how long after the last answer that was not as usual. */
const WATCH_MS = 15_000;
const SETTLED_MS = 2000;
/** A timer that comes later says that the machine is too busy for promises that have a time. */
const BUSY_MS = 100;

/** Puts a fleet under load, lets the fault happen, and watches until all is as before. */
export async function runTrial(fault: Fault): Promise<Trial> {
  const { clocksMs = Array.from({ length: PROCESSES }, () => 0), hasRevoked = false } = fault;
  const scene = await fault.open();
  const servers: Server[] = [];
  try {
    servers.push(...(await Promise.all(clocksMs.map((clockMs) => startServer(scene.redis, clockMs)))));
    // So that each knows how many they are, should Redis fail.
    await wait(1200);
    const traffic = new Traffic(await logIn(servers, hasRevoked));
    for (const [index, { address }] of servers.entries()) traffic.add(address, index);
    await wait(QUIET_MS);
    // A list of many revoked tokens may be on its way.
    for (const startMs = performance.now(); performance.now() - startMs < START_MS; ) {
      const recent = traffic.answers.filter(({ atMs }) => performance.now() - atMs < QUIET_MS);
      if (fault.clocksMs !== undefined || !recent.some(isUnusual)) break;
      await wait(100);
    }
    const before = traffic.answers.splice(0).filter(({ atMs }) => performance.now() - atMs < QUIET_MS);
    traffic.latestTimerMs = 0;
    const beginMs = performance.now();
    await scene.begin();
    await wait((fault.seconds * 1000) / 4);
    const granted = await spend(servers);
    await wait((fault.seconds * 1000) / 2);
    await scene.end();
    const endMs = performance.now();
    // One that does not come up has no time.
    const newProcess = hasRevoked
      ? watchNewProcess(scene.redis, servers, traffic, endMs).catch(() => undefined)
      : undefined;
    await settle(traffic, endMs);
    const newProcessMs = await newProcess;
    await traffic.stop();
    const during = traffic.answers.filter(({ atMs }) => atMs >= beginMs && atMs < endMs);
    const after = traffic.answers.filter(({ atMs }) => atMs >= endMs);
    const outcome: Outcome = { during, after, granted, newProcessMs, recoveryMs: recoveryOf(after, endMs) };
    return { name: fault.name, ...outcome, ...judge(fault, outcome, before, traffic.latestTimerMs) };
  } finally {
    for (const server of servers) server.stop();
    await scene.close();
  }
}

function judge(fault: Fault, outcome: Outcome, before: readonly Answer[], latestTimerMs: number) {
  const isBusy = latestTimerMs > BUSY_MS || (fault.clocksMs === undefined && before.some(isUnusual));
  const broken: string[] = [];
  const undecided: string[] = [];
  for (const { check, isOfTime = false } of fault.promises) {
    const problem = check(outcome);
    if (problem !== undefined) (isBusy && isOfTime ? undecided : broken).push(problem);
  }
  return { broken, undecided, latestTimerMs };
}

async function logIn(servers: readonly Server[], hasRevoked: boolean): Promise<Credentials> {
  const cookies: string[] = [];
  for (let index = 0; index < SESSIONS; index++) {
    const { cookie } = await ask(`${servers[index % servers.length]?.address}/login`, {});
    if (cookie !== "") cookies.push(cookie);
  }
  const jwt = new Jwt({ secret: SECRET, expiration: 3600 });
  const revokedToken = hasRevoked ? jwt.sign({ sub: "u", jti: "t0" }) : undefined;
  return { cookies, token: jwt.sign({ sub: "u" }), revokedToken };
}

/** Asks thrice the quota of one key, of all servers in turn; answers with what was granted. */
async function spend(servers: readonly Server[]): Promise<number> {
  let granted = 0;
  for (let round = 0; round < (3 * QUOTA) / servers.length; round++) {
    const answers = await Promise.all(servers.map(({ address }) => ask(`${address}/limited`, { "x-key": "one key" })));
    granted += answers.filter(({ status }) => status === 200).length;
  }
  return granted;
}

/** Starts another process, which is asked too; resolves with the time until it accepts a good token. */
async function watchNewProcess(
  redis: Parameters<typeof startServer>[0],
  servers: Server[],
  traffic: Traffic,
  endMs: number,
): Promise<number | undefined> {
  const server = await startServer(redis);
  servers.push(server);
  const index = servers.length - 1;
  traffic.add(server.address, index);
  const isGood = (answer: Answer) => answer.server === index && answer.kind === "tokens" && answer.status === 200;
  while (performance.now() - endMs < WATCH_MS) {
    const first = traffic.answers.find(isGood);
    if (first !== undefined) return first.atMs + first.tookMs - endMs;
    await wait(20);
  }
  return undefined;
}

async function settle(traffic: Traffic, endMs: number): Promise<void> {
  await wait(SETTLED_MS);
  while (performance.now() - endMs < WATCH_MS) {
    const last = traffic.answers.findLast((answer) => answer.kind !== "revoked" && isUnusual(answer));
    if (last === undefined || performance.now() - last.atMs > SETTLED_MS) return;
    await wait(50);
  }
}

function isUnusual({ kind, status }: Answer): boolean {
  return status !== (kind === "revoked" ? 401 : 200);
}

function recoveryOf(after: readonly Answer[], endMs: number): Record<Kind, number> {
  const recoveryMs = { limits: 0, sessions: 0, tokens: 0, revoked: 0 };
  for (const answer of after) {
    // One that was started later recovers from nothing.
    if (answer.server >= PROCESSES || !isUnusual(answer)) continue;
    recoveryMs[answer.kind] = Math.max(recoveryMs[answer.kind], answer.atMs + answer.tookMs - endMs);
  }
  return recoveryMs;
}
