import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RememberedTokens } from "./remembered-tokens.js";

describe("RememberedTokens", () => {
  it("behaves as a list ordered by last use", () => {
    const key = fc.constantFrom(..."abcdefg");
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ set: key }) },
      { weight: 3, arbitrary: fc.record({ get: key }) },
      { weight: 1, arbitrary: fc.record({ remove: key }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const tokens = new RememberedTokens<number>(capacity);
        let oracle: { key: string; value: number }[] = [];
        for (const [value, one] of steps.entries()) {
          if ("set" in one) {
            tokens.set(one.set, value);
            oracle = [...oracle.filter((entry) => entry.key !== one.set), { key: one.set, value }].slice(-capacity);
            if (capacity === 0) oracle = [];
          } else if ("get" in one) {
            const found = oracle.find((entry) => entry.key === one.get);
            if (found !== undefined) oracle = [...oracle.filter((entry) => entry !== found), found];
            expect(tokens.get(one.get)).toBe(found?.value);
          } else {
            tokens.delete(one.remove);
            oracle = oracle.filter((entry) => entry.key !== one.remove);
          }
          expect(tokens.size).toBe(oracle.length);
        }
        for (const entry of oracle) expect(tokens.get(entry.key)).toBe(entry.value);
      }),
      { numRuns: 500 },
    );
  });

  it("can be used again after it was cleared", () => {
    const tokens = new RememberedTokens<number>(2);
    tokens.set("a", 1);
    tokens.clear();
    expect(tokens.get("a")).toBeUndefined();
    for (const key of ["b", "c", "d"]) tokens.set(key, 2);
    expect(tokens.size).toBe(2);
  });

  it("gives out nothing for another token with the same end, and keeps the newer of two", () => {
    const tokens = new RememberedTokens<number>(5);
    const end = "S".repeat(22);
    tokens.set(`one.${end}`, 1);
    expect(tokens.get(`two.${end}`)).toBeUndefined();
    expect(tokens.get(`\u016fne.${end}`)).toBeUndefined();
    tokens.delete(`two.${end}`);
    expect(tokens.get(`one.${end}`)).toBe(1);
    tokens.set(`two.${end}`, 2);
    expect([tokens.get(`one.${end}`), tokens.get(`two.${end}`), tokens.size]).toEqual([undefined, 2, 1]);
  });
});
