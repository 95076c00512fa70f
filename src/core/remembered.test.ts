import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { Remembered } from "./remembered.js";

describe("Remembered", () => {
  it("keeps what was put in last, and nothing that was forgotten, up to its room", () => {
    const text = fc.constantFrom(..."abcdefg");
    const step = fc.oneof(
      { weight: 15, arbitrary: fc.record({ put: text }) },
      { weight: 15, arbitrary: fc.record({ get: text }) },
      { weight: 5, arbitrary: fc.record({ forget: text }) },
      { weight: 1, arbitrary: fc.constant({ clear: true }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.array(step, { maxLength: 60 }), (room, steps) => {
        const remembered = new Remembered<number>(room, () => 1);
        const put = new Map<string, number>();
        for (const [value, one] of steps.entries()) {
          if ("put" in one) {
            remembered.remember(one.put, value);
            put.set(one.put, value);
            expect(remembered.get(one.put)).toBe(room === 0 ? undefined : value);
          } else if ("get" in one) {
            expect([put.get(one.get), undefined]).toContain(remembered.get(one.get));
          } else if ("forget" in one) {
            remembered.forget(one.forget);
            put.delete(one.forget);
            expect(remembered.get(one.forget)).toBeUndefined();
          } else {
            remembered.clear();
            put.clear();
          }
        }
        const kept = [...put.keys()].filter((key) => remembered.get(key) !== undefined);
        expect(kept.length).toBeLessThanOrEqual(room);
      }),
      runs(1000),
    );
  });

  it("uses all of its room, and keeps what is used again", () => {
    const remembered = new Remembered<number>(100, () => 1);
    const texts = Array.from({ length: 1000 }, (_, index) => `text ${index}`);
    for (const [index, text] of texts.entries()) {
      remembered.remember(text, index);
      if (index % 50 === 0) expect(remembered.get("text 0")).toBe(0);
    }
    expect(texts.filter((text) => remembered.get(text) !== undefined)).toHaveLength(100);
    expect(remembered.get("text 999")).toBe(999);
  });

  it("is bounded by what its texts take", () => {
    const remembered = new Remembered<true>(1000, (text) => text.length);
    const texts = Array.from({ length: 200 }, (_, index) => `${index}`.padStart((index % 30) + 3, "x"));
    for (const text of texts) remembered.remember(text, true);
    const kept = texts.filter((text) => remembered.get(text) === true);
    expect(kept.join("").length).toBeLessThanOrEqual(1000);
    expect(kept.join("").length).toBeGreaterThan(900);
    remembered.remember("x".repeat(1001), true);
    expect(remembered.get("x".repeat(1001))).toBeUndefined();
  });

  it("gives out nothing for another text with the same end, and keeps the newer of two", () => {
    const remembered = new Remembered<number>(2, () => 1);
    const tail = "t".repeat(22);
    remembered.remember(`one.${tail}`, 1);
    const others = [`two.${tail}`, tail, `\u016fne.${tail}`];
    for (const other of others) expect(remembered.get(other)).toBeUndefined();
    remembered.forget(`two.${tail}`);
    remembered.remember("b", 2);
    expect([remembered.get(`one.${tail}`), remembered.get("b")]).toEqual([1, 2]);
    remembered.remember(`two.${tail}`, 4);
    expect([remembered.get(`one.${tail}`), remembered.get(`two.${tail}`), remembered.get("b")]).toEqual([
      undefined,
      4,
      2,
    ]);
  });

  it("can be used again after it was cleared", () => {
    const remembered = new Remembered<number>(2, () => 1);
    for (const text of ["a", "b", "c"]) remembered.remember(text, 1);
    remembered.clear();
    expect(["a", "b", "c"].map((text) => remembered.get(text))).toEqual([undefined, undefined, undefined]);
    for (const text of ["b", "c", "d"]) remembered.remember(text, 2);
    expect(["b", "c", "d"].map((text) => remembered.get(text))).toEqual([undefined, 2, 2]);
  });

  it("takes no longer for a new text when it is full", () => {
    const remembered = new Remembered<number>(200_000, () => 1);
    const spent = (from: number) => {
      const start = performance.now();
      for (let index = from; index < from + 200_000; index++) remembered.remember(`text ${index}`, index);
      return performance.now() - start;
    };
    spent(0);
    // Asking a Map for its first key costs what it has lost: that would take minutes.
    expect(spent(200_000) + spent(400_000)).toBeLessThan(20_000);
  });
});
