import { describe, expect, it } from "vitest";
import fc from "../../test/fast-check.js";
import { RequestCosts, TimerDelays } from "./event-loop.js";
import { EventLoopTurns } from "./turns.js";

/** Turns whose end the test decides. */
function turnsByHand(): { turns: EventLoopTurns; end: () => void; sleep: (ms: number) => void } {
  let idleMs = 0;
  const ends: (() => void)[] = [];
  const turns = new EventLoopTurns(
    () => idleMs,
    (callback) => ends.push(callback),
  );
  return {
    turns,
    end: () => {
      for (const callback of ends.splice(0)) callback();
    },
    sleep: (ms) => {
      idleMs += ms;
    },
  };
}

describe("EventLoopTurns", () => {
  it("takes a request that woke the loop for one that has not waited", () => {
    const { turns, end, sleep } = turnsByHand();
    expect(turns.arrive(100)).toBe(100);
    end();
    sleep(50);
    expect(turns.arrive(160)).toBe(160);
    expect(turns.sleptAtMs).toBe(160);
  });

  it("takes requests that came while the loop was busy for ones that came half way, and those of one turn alike", () => {
    const { turns, end } = turnsByHand();
    turns.arrive(100);
    end();
    expect(turns.arrive(180)).toBe(140);
    expect(turns.arrive(190)).toBe(140);
    expect(turns.ageMs(195)).toBe(15);
    end();
    expect(turns.ageMs(195)).toBe(0);
  });

  it("guesses no waiting where the runtime does not tell when the loop slept", () => {
    const ends: (() => void)[] = [];
    const turns = new EventLoopTurns(
      () => Number.NaN,
      (callback) => ends.push(callback),
    );
    expect(turns.arrive(100)).toBe(100);
    for (const end of ends.splice(0)) end();
    expect(turns.arrive(60_000)).toBe(60_000);
  });

  it("numbers the turns", () => {
    const { turns, end } = turnsByHand();
    turns.arrive(0);
    const first = turns.number;
    turns.arrive(1);
    expect(turns.number).toBe(first);
    end();
    expect(turns.number).toBe(first + 1);
  });

  it("counts the time that refusals take, to the next request of the turn", () => {
    const { turns, end } = turnsByHand();
    turns.arrive(0);
    turns.noteRefusal();
    turns.arrive(3);
    turns.arrive(10);
    turns.noteRefusal();
    turns.arrive(12);
    end();
    expect(turns.refusedMs).toBe(5);
    expect(turns.refusingMs).toBeCloseTo(1);
  });

  it("never takes a request for later than now, nor for earlier than the turn before", () => {
    const step = fc.record({ busyMs: fc.nat(100), sleptMs: fc.nat(3), requests: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { turns, end, sleep } = turnsByHand();
        let nowMs = 1000;
        let lastBeganMs = nowMs;
        for (const { busyMs, sleptMs, requests } of steps) {
          sleep(sleptMs);
          nowMs += busyMs + sleptMs;
          const beganMs = nowMs;
          for (let request = 0; request < requests; request++) {
            const arrivedMs = turns.arrive(nowMs);
            expect(arrivedMs).toBeLessThanOrEqual(nowMs);
            expect(arrivedMs).toBeGreaterThanOrEqual(Math.min(lastBeganMs, beganMs));
            if (sleptMs > 0) expect(arrivedMs).toBe(beganMs);
            nowMs += 1;
          }
          end();
          lastBeganMs = beganMs;
        }
      }),
    );
  });

  it("sees real turns: requests of one are in it, and the next is another", async () => {
    const turns = new EventLoopTurns();
    turns.arrive(performance.now());
    const first = turns.number;
    turns.arrive(performance.now());
    expect(turns.number).toBe(first);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns.number).toBe(first + 1);
  });
});

describe("RequestCosts", () => {
  it("is the loop's time per answered request, without what went into refusing", () => {
    let active = 0;
    const costs = new RequestCosts(() => ({ active, idle: 0 }));
    expect(costs.sample(0)).toBe(0);
    costs.answered = 10;
    active = 120;
    expect(costs.sample(20)).toBe(10);
    expect(costs.meanMs).toBe(10);
    costs.answered = 20;
    active = 320;
    expect(costs.sample(20)).toBeCloseTo(13);
  });

  it("keeps what it knows when nothing was answered, or the time cannot be read", () => {
    let active = 0;
    const costs = new RequestCosts(() => ({ active, idle: 0 }));
    costs.answered = 1;
    active = 8;
    expect(costs.sample(0)).toBe(8);
    active = 500;
    expect(costs.sample(0)).toBe(8);
    costs.answered = 2;
    active = Number.NaN;
    expect(costs.sample(0)).toBe(8);
  });
});

describe("TimerDelays", () => {
  it("says nothing before it is started, and sees a loop that was blocked", async () => {
    const delays = new TimerDelays();
    expect(delays.take()).toBeNaN();
    delays.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const untilMs = performance.now() + 200;
    while (performance.now() < untilMs);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const delayMs = delays.take();
    delays.stop();
    expect(delayMs).toBeGreaterThan(10);
  });
});
