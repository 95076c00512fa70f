import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RateLimitPolicy } from "../../src/limits/store.js";
import type { RedisRateLimits } from "../../src/redis/limits/limits.js";
import { testPolicy } from "../limit-policy.js";
import {
  type Admission,
  decided,
  mostInWindow,
  type OpenLimits,
  openLimits,
  TimedConnection,
  worstExcess,
} from "./limits-parts.js";
import { type RedisServer, startRedis } from "./server.js";

let server: RedisServer;
let timed: TimedConnection;
let spy: Redis;
let runs = 0;
const opened: OpenLimits[] = [];

beforeAll(async () => {
  server = await startRedis();
  timed = new TimedConnection(server.url);
  spy = new Redis(server.url, { protocol: 2 });
});

afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()));
  timed.close();
  spy.disconnect();
  await server.stop();
});

async function open(lease: "auto" | number, processes = 1): Promise<OpenLimits> {
  const made = openLimits({ url: server.url, lease }, processes);
  opened.push(made);
  await made.connection.open(5000);
  return made;
}

async function calls(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await spy.info("commandstats"))?.[1] ?? 0);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

interface Step {
  readonly waitMs: number;
  readonly wayMs: number;
  readonly asks: readonly { readonly by: number; readonly cost: number; readonly times: number }[];
  readonly ends: { readonly by: number; readonly how: "crash" | "close" } | null;
}

/** Schedules for each property. Set `CELLO_LONG_TESTS` for more. */
const RUNS = process.env.CELLO_LONG_TESTS === undefined ? 75 : 900;
const WINDOW_MS = 2000;
const PROCESSES = 3;
/** How long a lease lasts, and how long the process that holds it uses it. */
const [LIFE_MS, USED_MS] = [500, 468.75];
const by = fc.nat(PROCESSES - 1);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(
      { weight: 3, arbitrary: fc.nat(30) },
      { weight: 2, arbitrary: fc.nat(LIFE_MS) },
      { weight: 1, arbitrary: fc.nat(2 * WINDOW_MS) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          USED_MS - 1,
          USED_MS,
          LIFE_MS - 1,
          LIFE_MS,
          WINDOW_MS - LIFE_MS,
          WINDOW_MS - 1,
          WINDOW_MS,
        ),
      },
    ),
    wayMs: fc.oneof(fc.constant(0), fc.nat(40)),
    asks: fc.array(fc.record({ by, cost: fc.constantFrom(1, 1, 1, 2, 5), times: fc.constantFrom(1, 1, 2, 5, 40) }), {
      maxLength: 4,
    }),
    ends: fc.option(fc.record({ by, how: fc.constantFrom("crash" as const, "close" as const) }), { freq: 6 }),
  }),
  { maxLength: 30, size: "max" },
);

/** Runs processes that come and go, and returns what they admitted. */
async function simulate(schedule: readonly Step[], policy: RateLimitPolicy, lease: "auto" | number) {
  const key = String(runs++);
  const start = () => timed.process(lease, PROCESSES);
  const processes = Array.from({ length: PROCESSES }, start);
  const admissions: Admission[] = [];
  for (const { waitMs, wayMs, asks, ends } of schedule) {
    timed.clock.nowMs += waitMs;
    timed.wayMs = wayMs;
    const answers = asks.flatMap(({ by, cost, times }) =>
      Array.from({ length: times }, async () => {
        const startMs = timed.clock.nowMs;
        const { isAllowed } = await decided(processes[by]?.consume(policy, key, cost) ?? Promise.reject());
        if (isAllowed) admissions.push({ startMs, endMs: timed.clock.nowMs, cost });
      }),
    );
    await Promise.all(answers);
    if (ends === null) continue;
    // A process that crashed is asked nothing any more; its leases stay behind.
    if (ends.how === "close") await processes[ends.by]?.close();
    processes[ends.by] = start();
  }
  return { key, admissions, processes };
}

describe("leases", () => {
  it.each(["auto", 4, 1000] as const)("of %s never let a bucket admit more than it holds", async (lease) => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(3, 10, 40), steps, async (requests, schedule) => {
        const policy = testPolicy("token-bucket", requests, WINDOW_MS);
        const { admissions } = await simulate(schedule, policy, lease);
        expect(worstExcess(admissions, requests, requests / WINDOW_MS)).toBeLessThanOrEqual(1e-6);
      }),
      { numRuns: RUNS },
    );
  });

  it.each(["auto", 4, 1000] as const)("of %s never let a window admit more than its limit", async (lease) => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(3, 10, 40), steps, async (requests, schedule) => {
        const policy = testPolicy("sliding-window", requests, WINDOW_MS);
        const { admissions } = await simulate(schedule, policy, lease);
        expect(mostInWindow(admissions, WINDOW_MS)).toBeLessThanOrEqual(requests);
      }),
      { numRuns: RUNS },
    );
  });

  it.each(["token-bucket", "sliding-window"] as const)(
    "come back whole when all processes close, whatever they did before (%s)",
    async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(steps, async (schedule) => {
          const policy = testPolicy(algorithm, 40, WINDOW_MS);
          // Within the life of a lease: what is reported later counts as used.
          const calm = schedule
            .filter(({ ends }) => ends?.how !== "crash")
            .map((step) => ({ ...step, waitMs: step.waitMs % 10, wayMs: step.wayMs % 3 }))
            .slice(0, 25);
          const { key, admissions, processes } = await simulate(calm, policy, 7);
          for (const process of processes) await process.close();
          const { remaining } = await decided(timed.process().peek(policy, key));
          const nowMs = timed.clock.nowMs;
          const used = admissions
            .filter(({ startMs }) => nowMs - startMs < WINDOW_MS)
            .reduce((sum, { cost }) => sum + cost, 0);
          expect(remaining).toBeGreaterThanOrEqual(40 - used);
        }),
        { numRuns: RUNS / 3 },
      );
    },
  );

  it.each(["token-bucket", "sliding-window"] as const)(
    "of a crashed process come back within a window (%s)",
    async (algorithm) => {
      const policy = testPolicy(algorithm, 100, 60_000, { id: `crash ${algorithm}` });
      const crashed = timed.process(50);
      timed.wayMs = 0;
      await crashed.consume(policy, "key", 1);
      expect(await timed.process().peek(policy, "key")).toMatchObject({ remaining: 49 });
      timed.clock.nowMs += 499;
      expect(await timed.process().peek(policy, "key")).toMatchObject({
        remaining: 49,
      });
      timed.clock.nowMs += 60_000 - 498;
      // All of it for a bucket; a window counts it from the lease's end on.
      const left = algorithm === "token-bucket" ? 100 : 50;
      expect(await timed.process().peek(policy, "key")).toMatchObject({ remaining: left });
      timed.clock.nowMs += 501;
      expect(await timed.process().peek(policy, "key")).toMatchObject({ remaining: 100 });
    },
  );

  it("keep their room in a bucket while it fills, and until they end", async () => {
    timed.wayMs = 0;
    const policy = testPolicy("token-bucket", 10, WINDOW_MS, { id: "room" });
    const admittedOf = async (key: string, count: number) => {
      const strict = timed.process();
      const answers = await Promise.all(Array.from({ length: count }, () => strict.consume(policy, key, 1)));
      return answers.filter(({ isAllowed }) => isAllowed).length;
    };
    for (const [key, laterMs, left] of [
      ["at once", 0, 5],
      ["after the end", 532, 7],
    ] as const) {
      const holder = timed.process(5);
      await holder.consume(policy, key, 1);
      timed.clock.nowMs += 468;
      expect(holder.consume(policy, key, 5)).toMatchObject({ isAllowed: true });
      timed.clock.nowMs += laterMs;
      // Of the ten, five were used just now, or half a second before their end and not reported.
      expect(await admittedOf(key, 10)).toBe(left);
    }
  });

  it("that nobody reports count in a window from their end on", async () => {
    timed.wayMs = 0;
    const policy = testPolicy("sliding-window", 10, WINDOW_MS, { id: "from the end" });
    await timed.process(5).consume(policy, "key", 1);
    timed.clock.nowMs += 2499;
    expect(await timed.process().peek(policy, "key")).toMatchObject({ remaining: 5, resetMs: 2 });
    timed.clock.nowMs += 2;
    expect(await timed.process().peek(policy, "key")).toMatchObject({ remaining: 10, resetMs: 0 });
  });

  it("decide at once and without a call while they last, and ask once when they are used up", async () => {
    const { limits } = await open(100);
    const policy = testPolicy("token-bucket", 10_000, 60_000, { id: "last" });
    expect(await limits.consume(policy, "key", 1)).toMatchObject({ isAllowed: true, remaining: 9999 });
    await turn();
    const before = await calls();
    for (let index = 0; index < 100; index++) {
      const answer = limits.consume(policy, "key", 1);
      expect(answer).not.toBeInstanceOf(Promise);
      expect(answer).toMatchObject({ isAllowed: true, limit: 10_000, remaining: 9998 - index });
    }
    expect(await calls()).toBe(before);
    const more = Array.from({ length: 30 }, () => limits.consume(policy, "key", 1));
    expect(more[0]).toBeInstanceOf(Promise);
    expect((await Promise.all(more)).every(({ isAllowed }) => isAllowed)).toBe(true);
    expect(await calls()).toBe(before + 1);
  });

  it("are waited for by those that come while one is on its way, who are served in order", async () => {
    const { limits } = await open(3);
    const policy = testPolicy("token-bucket", 10, 600_000, { id: "waiting" });
    const answers: Promise<boolean>[] = [];
    for (let index = 0; index < 14; index++) {
      answers.push(decided(limits.consume(policy, "key", 1)).then(({ isAllowed }) => isAllowed));
      if (index % 3 === 0) await turn();
    }
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 14 }, (_, index) => index < 10));
  });

  it("are as large as the recent use, and a key that is used rarely gets none", async () => {
    const { limits } = await open("auto");
    const policy = testPolicy("token-bucket", 1000, 60_000, { id: "auto" });
    await limits.consume(policy, "rare", 1);
    await turn();
    expect(limits.consume(policy, "rare", 0)).toBeInstanceOf(Promise);
    await Promise.all(Array.from({ length: 20 }, () => limits.consume(policy, "busy", 1)));
    expect(await decided(timed.process().peek(policy, "nobody"))).toMatchObject({ remaining: 1000 });
    const strict = openLimits({ url: server.url });
    opened.push(strict);
    // 20 used and 20 leased.
    expect(await strict.limits.peek(policy, "busy")).toMatchObject({ remaining: 960 });
    expect(limits.peek(policy, "busy")).toMatchObject({ remaining: 980 });
  });

  it("leave the others their share", async () => {
    const { limits } = await open("auto", 4);
    const policy = testPolicy("sliding-window", 100, 60_000, { id: "share" });
    await Promise.all(Array.from({ length: 60 }, () => limits.consume(policy, "key", 1)));
    const strict = openLimits({ url: server.url });
    opened.push(strict);
    expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 35 });
  });

  it("are given back when nobody used them for a while, and when the process ends", async () => {
    const policy = testPolicy("sliding-window", 1000, 60_000, { id: "idle" });
    const strict = openLimits({ url: server.url });
    opened.push(strict);
    const first = await open(100);
    await first.limits.consume(policy, "key", 1);
    expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 899 });
    await pause(450);
    expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 999 });
    await first.limits.consume(policy, "key", 1);
    await turn();
    first.limits.consume(policy, "key", 1);
    expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 898 });
    await first.limits.close();
    expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 997 });
  });

  it("keep what is given back, and what a reset leaves", async () => {
    const { limits } = await open(10);
    const policy = testPolicy("token-bucket", 100, 600_000, { id: "back" });
    await limits.consume(policy, "key", 1);
    expect(limits.consume(policy, "key", 4)).toMatchObject({ remaining: 95 });
    const before = await calls();
    expect(limits.consume(policy, "key", -4)).toMatchObject({ remaining: 99 });
    expect(await calls()).toBe(before);
    // What was not taken of the lease does not make it larger.
    expect(limits.consume(policy, "key", -1)).toBeInstanceOf(Promise);
    await limits.reset(policy, "key");
    expect(await limits.peek(policy, "key")).toMatchObject({ remaining: 100 });
  });

  it("do not survive an error: what is under way fails, and the next asks anew", async () => {
    const lost = await startRedis();
    const gone = openLimits({ url: lost.url, lease: 10, deadline: 100 });
    await gone.connection.open(5000);
    const policy = testPolicy("token-bucket", 100, 60_000);
    const limits: RedisRateLimits = gone.limits;
    await limits.consume(policy, "key", 1);
    await turn();
    expect(limits.consume(policy, "key", 10)).toMatchObject({ isAllowed: true });
    await lost.kill("SIGSTOP");
    const answers = [limits.consume(policy, "key", 1)];
    await turn();
    await turn();
    answers.push(limits.consume(policy, "key", 1));
    for (const answer of answers) await expect(answer).rejects.toThrow();
    await lost.stop();
    await gone.close();
  });
});
