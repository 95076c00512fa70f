import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Allowance } from "../../examples/fleet/allowance.js";
import { readOptions } from "../../examples/fleet/options.js";
import { Phase } from "../../examples/fleet/phases.js";
import { LIMIT } from "../../examples/fleet/policy.js";
import type { PhaseSummary, Summary } from "../../examples/fleet/report.js";
import { summarize, table } from "../../examples/fleet/report.js";
import type { Outcome } from "../../examples/fleet/scenario.js";
import { built } from "../built.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = fileURLToPath(new URL("../../examples/fleet/main.ts", import.meta.url));
const serverProgram = fileURLToPath(new URL("../../examples/fleet/server.ts", import.meta.url));
const PHASES = ["normal", "Redis killed", "Redis back, empty", "a server killed", "the server back"];

/** The fleet as a person starts it, and what it has printed so far. */
interface RunningFleet {
  readonly child: ChildProcess;
  output: string;
  progress: string;
}

const running: RunningFleet[] = [];

/** The fleet and its servers as JavaScript; a person leaves that to tsx. */
let quickProgram: string;
beforeAll(async () => {
  const files = await Promise.all([program, serverProgram].map((file) => built(file, "fleet")));
  quickProgram = files[0] ?? "";
}, 60_000);

afterAll(async () => {
  for (const { child } of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill();
    await once(child, "exit");
  }
});

function start(...args: readonly string[]): RunningFleet {
  return startWith([quickProgram, ...args]);
}

function startWith(args: readonly string[]): RunningFleet {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH ?? "", TMPDIR: tmpdir() },
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const fleet: RunningFleet = { child, output: "", progress: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    fleet.output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    fleet.progress += text;
  });
  running.push(fleet);
  return fleet;
}

async function ended({ child }: RunningFleet): Promise<number | null> {
  const [code] = await once(child, "close");
  return code;
}

/** What the fleet says it has started. */
function started({ progress }: RunningFleet) {
  const [redis = 0, ...servers] = [...progress.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  return { redis, servers, folder: /\(pid \d+\) in (.+)/.exec(progress)?.[1] ?? "" };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function phaseOf(summary: Summary, name: string): PhaseSummary {
  const found = summary.phases.find(({ phase }) => phase === name);
  if (found === undefined) throw new Error(`there is no phase "${name}"`);
  return found;
}

// Each fleet waits for its phases; what it does to others is part of the trial.
describe.concurrent("the fleet", () => {
  it.each(["off", "auto"])(
    "keeps its limit while Redis and a server die and come back, with lease %s",
    { timeout: 120_000 },
    async (lease) => {
      const fleet = start("--json", "--phase-seconds", "1", "--processes", "3", "--lease", lease);
      const code = await ended(fleet);
      expect(fleet.output, fleet.progress).not.toBe("");
      const summary: Summary = JSON.parse(fleet.output);

      expect(summary.problems).toEqual([]);
      expect(code).toBe(summary.ok ? 0 : 3);
      expect(summary.phases.map(({ phase }) => phase)).toEqual(PHASES);
      for (const { admitted, unavailable, refused, failed, limit } of summary.phases) {
        expect(admitted).toBeGreaterThan(0);
        expect(admitted + unavailable).toBeLessThanOrEqual(limit);
        if (!summary.ok) continue;
        expect(failed).toBe(0);
        expect(refused).toBeGreaterThan(0);
      }
      expect(phaseOf(summary, "Redis killed").unavailable).toBeGreaterThan(0);
      if (summary.ok) expect(summary.normalAfterMs).toBeLessThanOrEqual(2000);

      // Two of Redis, three servers, and one of them again.
      expect(summary.pids).toHaveLength(6);
      expect(summary.pids.filter(isAlive)).toEqual([]);
      const { folder } = started(fleet);
      expect(folder).toContain("cello-fleet-");
      expect(existsSync(folder)).toBe(false);
    },
  );

  it("leaves nothing behind when it is interrupted", { timeout: 60_000 }, async ({ expect }) => {
    const fleet = start("--phase-seconds", "30", "--processes", "2");
    await expect.poll(() => fleet.progress, { timeout: 40_000 }).toContain("phase: normal");
    const { redis, servers, folder } = started(fleet);
    expect([redis, ...servers].filter(isAlive)).toHaveLength(3);
    expect(existsSync(folder)).toBe(true);
    fleet.child.kill("SIGINT");
    expect(await ended(fleet)).toBe(130);
    // Killed they are; process 1, which has them now, may take its time to bury them.
    await expect.poll(() => [redis, ...servers].filter(isAlive), { timeout: 10_000 }).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  it("leaves no server behind when it is killed", { timeout: 60_000 }, async ({ expect }) => {
    const fleet = start("--phase-seconds", "30", "--processes", "2");
    await expect.poll(() => fleet.progress, { timeout: 40_000 }).toContain("phase: normal");
    const { redis, servers, folder } = started(fleet);
    expect([redis, ...servers].filter(isAlive)).toHaveLength(3);
    fleet.child.kill("SIGKILL");
    try {
      await expect.poll(() => servers.filter(isAlive), { timeout: 10_000 }).toEqual([]);
    } finally {
      // Redis knows nothing of who started it.
      process.kill(redis, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("says what is wrong with an option, and starts nothing", async () => {
    // As a person starts it.
    const fleet = startWith(["--import", import.meta.resolve("tsx"), program, "--processes", "1"]);
    expect(await ended(fleet)).toBe(1);
    expect(fleet.progress).toContain('--processes must be a whole number from 2 to 16, got "1"');
    expect(fleet.output).toBe("");
    expect(() => readOptions(["--lease", "some"])).toThrow(/--lease must be a whole number/);
    expect(() => readOptions(["--leases", "5"])).toThrow(/leases/);
    expect(readOptions([])).toEqual({ phaseSeconds: 3, processes: 4, lease: undefined, json: false });
  });
});

describe("the verdict on the fleet", () => {
  const options = { phaseSeconds: 1, processes: 2, lease: undefined, json: true };

  /** Five phases of a second in which all went well. */
  function outcome(change: (phases: readonly Phase[]) => void = () => {}): Outcome {
    const phases = PHASES.map((name, index) => {
      const phase = new Phase(name, index * 1000);
      return Object.assign(phase, { endedAtMs: index * 1000 + 999, admitted: 90, refused: 10, limit: 100 });
    });
    for (const phase of phases) for (const server of ["1", "2"]) phase.servedBy.add(server);
    change(phases);
    const storeEvents = [1, 2].flatMap((server) =>
      ["rate-limit", "session"].flatMap((store) => [
        { server, store, kind: "store.error" as const, atMs: 1100, processes: 2 },
        { server, store, kind: "store.recovered" as const, atMs: 2100, processes: 2 },
      ]),
    );
    return { phases, storeEvents, normalAfterMs: 100, inventedSessions: 0, latestTimerMs: 5, pids: [] };
  }

  it("is good when all held", () => {
    expect(summarize(outcome(), options)).toMatchObject({ ok: true, problems: [] });
  });

  it.each([
    ["more was admitted than the limit", { admitted: 101 }, /normal: 101 requests were let through, the limit is 100/],
    ["what was refused for want of a session is over the limit", { unavailable: 11 }, /101 requests were let through/],
    ["a request failed", { failed: 1 }, /1 requests failed/],
    ["a request hung", { hung: 1 }, /1 requests were not answered/],
    ["a session was lost", { lostSessions: 1 }, /1 sessions were lost/],
    ["nothing was refused", { refused: 0 }, /not enough load/],
    ["hardly anything was admitted", { admitted: 10 }, /only 10 requests/],
  ])("is bad when %s", (_what, change, problem) => {
    const summary = summarize(
      outcome(([first]) => void Object.assign(first ?? {}, change)),
      options,
    );
    expect(summary.ok).toBe(false);
    expect(summary.problems).toEqual([expect.stringMatching(problem)]);
  });

  it("is bad when recovery took too long, when a session came from nowhere, and when a share was too large", () => {
    expect(summarize({ ...outcome(), normalAfterMs: 2001 }, options).problems).toHaveLength(1);
    expect(summarize({ ...outcome(), normalAfterMs: undefined }, options).problems).toHaveLength(1);
    expect(summarize({ ...outcome(), inventedSessions: 1 }, options).problems).toHaveLength(1);
    const alone = outcome().storeEvents.map((event) => ({ ...event, processes: 1 }));
    expect(summarize({ ...outcome(), storeEvents: alone }, options).problems).toHaveLength(1);
  });

  it("does not blame the fleet for a machine without time, nor the machine for a limit that was passed", () => {
    const slow = outcome(([first]) => void Object.assign(first ?? {}, { hung: 3, admitted: 101 }));
    const summary = summarize({ ...slow, normalAfterMs: 2001, latestTimerMs: 400 }, options);
    expect(summary.ok).toBe(false);
    expect(summary.problems).toEqual([expect.stringContaining("101 requests were let through")]);
    expect(summary.undecided).toEqual([
      expect.stringContaining("3 requests were not answered in time"),
      expect.stringContaining("sessions were not served"),
    ]);
    expect(table(summary)).toMatch(
      /NOT as promised:\n- normal: 101 .*\n.*too busy to tell \(a timer came 400 ms late\)/,
    );
  });

  it("allows what Redis held, and each share from the failure to the recovery", () => {
    const { requests, window } = LIMIT;
    const allowance = new Allowance();
    expect(allowance.upTo(5000)).toBe(0);
    allowance.redisStarts(0);
    expect(allowance.upTo(0)).toBe(requests);
    allowance.redisEnds(window * 1000);
    expect(allowance.upTo(window * 5000)).toBe(requests * 2);
    const failure = { kind: "store.error", store: "rate-limit", processes: 4 } as const;
    allowance.storeChanged(1, { ...failure, atMs: window * 1000 });
    allowance.storeChanged(1, { ...failure, kind: "store.recovered", atMs: window * 3000 });
    expect(allowance.upTo(window * 5000)).toBe(requests * 2 + (requests / 4) * 3);
    allowance.storeChanged(2, { ...failure, store: "session", atMs: 0 });
    expect(allowance.upTo(window * 5000)).toBe(requests * 2 + (requests / 4) * 3);
  });
});
