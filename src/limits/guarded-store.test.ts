import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { testPolicy } from "../../test/limit-policy.js";
import { EventHub } from "../core/events.js";
import { GuardedStore } from "./guarded-store.js";
import { MemoryRateLimitStore } from "./memory/store.js";
import type { Decision, RateLimitStore } from "./store.js";

const policy = testPolicy("token-bucket", 10, 1000);

function setUp(onError: "local" | "allow" | "deny" = "local") {
  const clock = new TestClock(0);
  const memory = new MemoryRateLimitStore({ clock });
  const state = { isDown: false, processes: 4, given: 0 };
  const answer = <Value>(value: () => Value): Value => {
    if (state.isDown) throw new Error("gone");
    return value();
  };
  const store: RateLimitStore = {
    consume: (of, key, cost) =>
      answer(() => {
        if (cost < 0) state.given -= cost;
        return memory.consume(of, key, cost);
      }),
    peek: (of, key, cost) => answer(() => memory.peek(of, key, cost)),
    reset: (of, key) => answer(() => memory.reset(of, key)),
    get processes() {
      return state.processes;
    },
  };
  const guarded = new GuardedStore(store, policy, { onError, events: new EventHub(), clock });
  const take = (): Decision => {
    const decision = guarded.consume("key", 1);
    if (decision instanceof Promise) throw new TypeError("this store answers at once");
    return decision;
  };
  const admitted = (tries: number) => Array.from({ length: tries }, take).filter(({ isAllowed }) => isAllowed).length;
  return { clock, guarded, state, take, admitted };
}

function fail(): never {
  throw new Error("gone");
}

describe("while the store is down", () => {
  it.each([
    [1, 10],
    [3, 3],
    [4, 2],
    [10, 1],
    [0, 10],
    [Number.NaN, 10],
  ])("one of %d processes grants its share, %d", (processes, share) => {
    const { state, admitted } = setUp();
    state.processes = processes;
    state.isDown = true;
    expect(admitted(20)).toBe(share);
  });

  it("all processes together grant no more than the limit", () => {
    for (let processes = 1; processes <= 10; processes++) {
      const fleet = Array.from({ length: processes }, () => setUp());
      let total = 0;
      for (const { state, admitted } of fleet) {
        state.processes = processes;
        state.isDown = true;
        total += admitted(20);
      }
      expect(total).toBeLessThanOrEqual(policy.requests);
    }
  });

  it.each([
    [8, 20],
    [8, 5],
    [7, 6],
    [16, 1],
    [3, 10],
  ])(
    "%d processes that know their ranks together grant exactly the limit of %d, for every key",
    (processes, requests) => {
      const clock = new TestClock(0);
      const fleet = Array.from({ length: processes }, (_, rank) => {
        const store: RateLimitStore = { consume: fail, peek: fail, reset: fail, processes, rank };
        const parts = { onError: "local", events: new EventHub(), clock } as const;
        return new GuardedStore(store, testPolicy("sliding-window", requests, 1000), parts);
      });
      const shares = new Set<string>();
      for (let number = 0; number < 40; number++) {
        const granted = fleet.map((guarded) => {
          let units = 0;
          for (let sent = 0; sent <= requests; sent++) {
            const decision = guarded.consume(`client ${number}`, 1);
            if (!(decision instanceof Promise) && decision.isAllowed) units++;
            else if (!(decision instanceof Promise)) expect(decision.retryAfterMs).toBeGreaterThan(0);
          }
          return units;
        });
        expect(granted.reduce((sum, units) => sum + units, 0)).toBe(requests);
        expect(Math.max(...granted) - Math.min(...granted)).toBeLessThanOrEqual(1);
        shares.add(granted.join());
      }
      // What is left over is granted by others for other keys.
      expect(shares.size).toBeGreaterThan(requests % processes === 0 ? 0 : 1);
    },
  );

  it("of fifty processes without ranks, as many grant one of ten as chance wants, and none more", () => {
    const { state, admitted } = setUp();
    state.processes = 50;
    state.isDown = true;
    expect(admitted(20)).toBeLessThanOrEqual(1);
  });

  it("a smaller share holds as soon as more processes are known", () => {
    const { state, admitted } = setUp();
    state.isDown = true;
    state.processes = 2;
    expect(admitted(20)).toBe(5);
    state.processes = 5;
    expect(admitted(20)).toBe(2);
    state.processes = 1;
    expect(admitted(20)).toBe(0);
  });

  it("answers in between do not grant a new share", () => {
    const { clock, state, admitted } = setUp();
    let local = 0;
    for (let round = 0; round < 50; round++) {
      state.isDown = true;
      local += admitted(1);
      state.isDown = false;
      admitted(1);
      clock.nowMs += 1;
    }
    expect(local).toBe(2);
  });

  it("the counts of an outage are forgotten a window after it", () => {
    const { clock, state, admitted } = setUp();
    state.isDown = true;
    expect(admitted(20)).toBe(2);
    state.isDown = false;
    clock.nowMs += 1000;
    admitted(1);
    state.processes = 2;
    state.isDown = true;
    expect(admitted(20)).toBe(5);
  });

  it.each([
    ["allow", true],
    ["deny", false],
  ] as const)("%s counts nothing", (onError, isAllowed) => {
    const { state, take } = setUp(onError);
    state.isDown = true;
    for (let count = 0; count < 20; count++) expect(take()).toMatchObject({ isAllowed, isUnavailable: true });
  });
});

describe("figures that no header field can carry", () => {
  it.each([
    [
      { remaining: 2.5, limit: 5.5 },
      { remaining: 2, limit: 5 },
    ],
    [{ remaining: -3 }, { remaining: 0 }],
    [{ remaining: 1e300 }, { remaining: 999_999_999_999_999 }],
    [
      { resetMs: -5, moreMs: -5000 },
      { resetMs: 0, moreMs: 0 },
    ],
    [
      { isAllowed: false, retryAfterMs: 1e300 },
      { isAllowed: false, retryAfterMs: 999_999_999_999_999 },
    ],
  ])("are bounded: %j", (given, expected) => {
    const answer = {
      isAllowed: true,
      limit: 5,
      remaining: 3,
      resetMs: 1000,
      retryAfterMs: 0,
      wasReduced: false,
      ...given,
    };
    const store: RateLimitStore = { consume: () => answer, peek: () => answer, reset: () => {} };
    const parts = { onError: "local", events: new EventHub(), clock: new TestClock(0) } as const;
    const guarded = new GuardedStore(store, policy, parts);
    expect(guarded.peek("key", 1)).toMatchObject({ ...expected, isAllowed: answer.isAllowed });
  });
});

describe("what is given back", () => {
  it("goes to this process when it granted it, even when the store is back", () => {
    const { state, take, guarded, admitted } = setUp();
    state.isDown = true;
    const taken = take();
    state.isDown = false;
    guarded.giveBack("key", 1, taken);
    expect(state.given).toBe(0);
    state.isDown = true;
    expect(admitted(20)).toBe(2);
  });

  it("goes to the store when the store granted it, or nowhere when it is down", () => {
    const { state, take, guarded, admitted } = setUp();
    const taken = take();
    guarded.giveBack("key", 1, taken);
    expect(state.given).toBe(1);
    const again = take();
    state.isDown = true;
    expect(admitted(1)).toBe(1);
    guarded.giveBack("key", 1, again);
    expect(admitted(20)).toBe(1);
  });
});
