import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import fc, { runs } from "../../test/fast-check.js";
import { ConfigError } from "../core/errors.js";
import { MemorySessionStore } from "./memory-store.js";
import type { SessionRecord } from "./store.js";

function record(version: number, forgetAt: number, value = 0): SessionRecord {
  return { data: { value }, flashes: undefined, version, createdAt: 1, lastUsedAt: 2, expiresAt: forgetAt, forgetAt };
}

const command = fc.oneof(
  fc.record({
    name: fc.constant("save" as const),
    id: fc.nat(5),
    expected: fc.nat(3),
    life: fc.integer({ min: 1, max: 50 }),
    userId: fc.constantFrom(undefined, "u1", "u2"),
  }),
  fc.record({ name: fc.constant("touch" as const), id: fc.nat(5), life: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ name: fc.constant("delete" as const), id: fc.nat(5) }),
  fc.record({ name: fc.constant("load" as const), id: fc.nat(5) }),
  fc.record({ name: fc.constant("pass" as const), ms: fc.nat(20) }),
);

describe("MemorySessionStore", () => {
  it("behaves as a plain map with expiry does", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const clock = new TestClock();
        const store = new MemorySessionStore({ clock });
        const oracle = new Map<string, SessionRecord>();
        let count = 0;
        for (const step of commands) {
          if (step.name === "pass") {
            clock.nowMs += step.ms;
            for (const [id, kept] of oracle) if (kept.forgetAt <= clock.nowMs) oracle.delete(id);
            continue;
          }
          const id = `id-${step.id}`;
          const kept = oracle.get(id);
          if (step.name === "load") expect(store.load(id)).toEqual(kept);
          if (step.name === "delete") {
            store.delete(id);
            oracle.delete(id);
          }
          if (step.name === "touch") {
            const end = clock.nowMs + step.life;
            const times = { lastUsedAt: clock.nowMs, expiresAt: end, forgetAt: end };
            expect(store.touch(id, times)).toBe(kept !== undefined);
            if (kept !== undefined) oracle.set(id, { ...kept, ...times });
          }
          if (step.name === "save") {
            const saved = {
              ...record(step.expected + 1, clock.nowMs + step.life, count++),
              userId: step.userId,
            };
            const version = kept?.version ?? 0;
            const expected = version === step.expected ? "saved" : kept === undefined ? "gone" : "conflict";
            expect(store.save(id, saved, step.expected)).toBe(expected);
            if (expected === "saved") oracle.set(id, saved);
          }
        }
        for (const userId of ["u1", "u2"]) {
          const listed = [...oracle].filter(([, kept]) => kept.userId === userId);
          expect(new Map(store.list(userId).map((entry) => [entry.id, entry.record]))).toEqual(new Map(listed));
        }
        for (let id = 0; id <= 5; id++) expect(store.load(`id-${id}`)).toEqual(oracle.get(`id-${id}`));
      }),
      runs(500),
    );
  });

  it("forgets the session that ends soonest when it is full", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 11, maxLength: 60 }), (lives) => {
        const clock = new TestClock();
        const store = new MemorySessionStore({ maxSessions: 10, clock });
        let expected: number[] = [];
        for (const life of lives) {
          // Room is made before the new one comes in, so the new one is never the one that goes.
          if (expected.length === 10) expected = expected.sort((a, b) => a - b).slice(1);
          expected.push(life);
          store.save(`id-${life}`, record(1, clock.nowMs + life), 0);
          expect(store.size).toBeLessThanOrEqual(10);
        }
        expect(lives.filter((life) => store.load(`id-${life}`) !== undefined).sort()).toEqual(expected.sort());
      }),
      runs(200),
    );
  });

  it("lists no session that it forgot to make room", () => {
    const clock = new TestClock();
    const store = new MemorySessionStore({ maxSessions: 2, clock });
    for (let index = 0; index < 5; index++) {
      store.save(`id-${index}`, { ...record(1, clock.nowMs + 1000 + index), userId: "u1" }, 0);
    }
    expect(store.list("u1").map(({ id }) => id)).toEqual(["id-3", "id-4"]);
  });

  it("forgets sessions of users last when visitors fill it, however soon they end", () => {
    const clock = new TestClock();
    const store = new MemorySessionStore({ maxSessions: 10, clock });
    for (let user = 0; user < 5; user++) {
      store.save(`user-${user}`, { ...record(1, clock.nowMs + 1000), userId: `u${user}` }, 0);
    }
    for (let visitor = 0; visitor < 100; visitor++) store.save(`visitor-${visitor}`, record(1, clock.nowMs + 9000), 0);
    for (let user = 0; user < 5; user++) expect(store.load(`user-${user}`)).toBeDefined();
    expect(store.size).toBe(10);
    // Full of users it still takes what comes, for one of them and not for all.
    for (let user = 5; user < 15; user++) {
      store.save(`user-${user}`, { ...record(1, clock.nowMs + 2000), userId: `u${user}` }, 0);
    }
    for (let visitor = 0; visitor < 100; visitor++) store.save(`late-${visitor}`, record(1, clock.nowMs + 9000), 0);
    const users = Array.from({ length: 15 }, (_, user) => store.load(`user-${user}`));
    expect(users.filter((user) => user !== undefined)).toHaveLength(9);
    expect(store.load("late-99")).toBeDefined();
  });

  it("forgets a user's session that is over before a visitor's that is not", () => {
    const clock = new TestClock();
    const store = new MemorySessionStore({ maxSessions: 2, clock });
    store.save("over", { ...record(1, clock.nowMs + 1000), userId: "u1" }, 0);
    store.save("visitor", record(1, clock.nowMs + 9000), 0);
    clock.pass(2);
    store.save("new", record(1, clock.nowMs + 9000), 0);
    expect(store.load("visitor")).toBeDefined();
    expect(store.load("over")).toBeUndefined();
  });

  it("sweeps expired sessions as new ones come", () => {
    const clock = new TestClock();
    const store = new MemorySessionStore({ clock });
    for (let index = 0; index < 1000; index++) store.save(`old-${index}`, record(1, clock.nowMs + 1000), 0);
    clock.pass(2);
    for (let index = 0; index < 1000; index++) store.save(`new-${index}`, record(1, clock.nowMs + 1000), 0);
    expect(store.size).toBe(1000);
  });

  it("shares no object with what was saved or loaded", () => {
    const store = new MemorySessionStore({ clock: new TestClock() });
    const data = { list: [1] };
    store.save("id", { ...record(1, Number.MAX_SAFE_INTEGER), data }, 0);
    data.list.push(2);
    const loaded = store.load("id");
    expect(loaded?.data).toEqual({ list: [1] });
    Reflect.set(loaded?.data ?? {}, "list", "changed");
    expect(store.load("id")?.data).toEqual({ list: [1] });
  });

  it("does not bring a deleted session back by a late save", () => {
    const store = new MemorySessionStore({ clock: new TestClock() });
    store.save("id", record(1, Number.MAX_SAFE_INTEGER), 0);
    store.delete("id");
    expect(store.save("id", record(2, Number.MAX_SAFE_INTEGER), 1)).toBe("gone");
    expect(store.load("id")).toBeUndefined();
  });

  it("refuses wrong options", () => {
    for (const options of [{ maxSessions: 0 }, { maxSessions: 1.5 }, { maxSession: 5 }, { clock: null }]) {
      expect(() => Reflect.construct(MemorySessionStore, [options])).toThrow(ConfigError);
    }
  });
});
