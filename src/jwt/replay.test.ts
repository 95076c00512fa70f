import { describe, expect, it } from "vitest";
import fc from "../../test/fast-check.js";
import { MemoryReplayStore } from "./replay.js";

describe("MemoryReplayStore", () => {
  it("agrees with a plain set: the first use of an id wins, for as long as its token lives and longer", () => {
    const step = fc.oneof(
      fc.record({ id: fc.constantFrom("a", "b", "c", "d"), lifetime: fc.integer({ min: 0, max: 200 }) }),
      fc.record({ wait: fc.integer({ min: 0, max: 100 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 1000;
        const store = new MemoryReplayStore({ clock: { wallMs: () => now * 1000, monotonicMs: () => 0 } });
        const used = new Map<string, number>();
        for (const one of steps) {
          if ("wait" in one) {
            now += one.wait;
            continue;
          }
          const mustRefuse = (used.get(one.id) ?? 0) > now;
          const isFirst = store.claim(one.id, now + one.lifetime);
          if (mustRefuse) expect(isFirst).toBe(false);
          if (!used.has(one.id)) expect(isFirst).toBe(true);
          if (isFirst) used.set(one.id, now + one.lifetime);
        }
      }),
    );
  });

  it("refuses an id long after its end, when it may have been forgotten", () => {
    const store = new MemoryReplayStore({ clock: { wallMs: () => 1_000_000, monotonicMs: () => 0 } });
    expect(store.claim("a", 1000 - 61)).toBe(false);
    expect(store.claim("b", 1000 - 1)).toBe(true);
    expect(store.claim("b", 1000 - 1)).toBe(false);
  });

  it("is bounded: forgets what has expired, and throws rather than forget what has not", () => {
    let now = 0;
    const store = new MemoryReplayStore({ clock: { wallMs: () => now * 1000, monotonicMs: () => 0 }, maxEntries: 100 });
    for (let number = 0; number < 100; number++) store.claim(String(number), 10);
    expect(() => store.claim("one more", 10)).toThrow(/maxEntries/);
    expect(store.claim("5", 10)).toBe(false);
    now = 100;
    for (let number = 0; number < 50; number++) expect(store.claim(`more ${number}`, 200)).toBe(true);
    expect(store.size).toBeLessThanOrEqual(100);
    now = 300;
    for (let number = 0; number < 100; number++) expect(store.claim(`last ${number}`, 400)).toBe(true);
    expect(store.size).toBe(100);
  });
});
