import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RememberedCookies } from "./remembered.js";

describe("RememberedCookies", () => {
  it("gives back only what was remembered under the same value", () => {
    const cookie = fc.string({ minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cookie, fc.boolean()), { maxLength: 100 }), (steps) => {
        const remembered = new RememberedCookies<{ readonly cookie: string }>(40);
        for (const [value, isPut] of steps) {
          if (isPut) remembered.remember(value, { cookie: value });
          expect(remembered.get(value)?.cookie ?? value).toBe(value);
          if (isPut) expect(remembered.get(value)).toBeDefined();
        }
      }),
    );
  });

  it("keeps no more than its bound, and what is used longest", () => {
    const remembered = new RememberedCookies<object>(1000);
    const values = Array.from({ length: 1000 }, (_, index) => `cookie-${index}`.padEnd(10));
    for (const value of values) {
      remembered.remember(value, {});
      expect(remembered.get(values[0] ?? "")).toBeDefined();
    }
    // Asking moves things between the generations, so each value is asked for once.
    const kept = values
      .slice(1)
      .reverse()
      .filter((value) => remembered.get(value) !== undefined);
    expect(kept.length).toBeLessThanOrEqual(100);
    expect(kept).toContain(values.at(-1));
  });

  it("does not take one cookie for another that only ends alike", () => {
    const remembered = new RememberedCookies<object>(100);
    const tail = "t".repeat(40);
    remembered.remember(`a${tail}`, { name: "a" });
    expect(remembered.get(`b${tail}`)).toBeUndefined();
    expect(remembered.get(tail)).toBeUndefined();
    expect(remembered.get(`a${tail}`)).toEqual({ name: "a" });
    // Into the old generation: the same holds there.
    remembered.remember("x".repeat(45), {});
    expect(remembered.get(`b${tail}`)).toBeUndefined();
    expect(remembered.get(`a${tail}`)).toEqual({ name: "a" });
  });
});
