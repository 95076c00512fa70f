import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { SecondSight } from "./second-sight.js";

const tokenOf = (name: string) => `h.p.${createHash("sha256").update(name).digest("base64url")}`;

describe("SecondSight", () => {
  it("recalls only what was kept last for the very token, and never more tokens than its capacity", () => {
    const names = [..."abcdefg"];
    const name = fc.constantFrom(...names);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ use: name }) },
      { weight: 1, arbitrary: fc.record({ forget: name }) },
      { weight: 1, arbitrary: fc.constant({ clear: true }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const tokens = new SecondSight<number>(capacity);
        const kept = new Map<string, number>();
        let last: string | undefined;
        for (const [value, one] of steps.entries()) {
          if ("use" in one) {
            const token = tokenOf(one.use);
            const recalled = tokens.recall(token);
            if (recalled !== undefined) expect(recalled).toBe(kept.get(one.use));
            else {
              expect(one.use).not.toBe(last);
              tokens.keep(token, value);
              kept.set(one.use, value);
              last = one.use;
            }
          } else if ("forget" in one) {
            tokens.forget(tokenOf(one.forget));
            kept.delete(one.forget);
            if (last === one.forget) last = undefined;
          } else {
            tokens.clear();
            kept.clear();
            last = undefined;
          }
        }
        const recalled = names.filter((one) => tokens.recall(tokenOf(one)) !== undefined);
        expect(recalled.length).toBeLessThanOrEqual(capacity);
        expect(recalled.every((one) => kept.has(one))).toBe(true);
      }),
      runs(500),
    );
  });

  it("keeps a token that came twice through a flood of tokens that come once", () => {
    const tokens = new SecondSight<number>(100);
    const twice = tokenOf("twice");
    tokens.keep(twice, 1);
    tokens.recall(twice);
    // Recalled at intervals: a fingerprint may be pushed out of its slot, then it is kept anew.
    let verified = 0;
    for (let index = 0; index < 2000; index++) {
      tokens.keep(tokenOf(String(index)), 2);
      if (index % 20 !== 0 || tokens.recall(twice) === 1) continue;
      verified++;
      tokens.keep(twice, 1);
    }
    expect(verified).toBeLessThan(20);
    expect(tokens.recall(tokenOf("1"))).toBeUndefined();
  });

  it("keeps a token from its second verification on, whatever came between", () => {
    const tokens = new SecondSight<number>(3);
    const [a, b] = [tokenOf("a"), tokenOf("b")];
    tokens.keep(a, 1);
    tokens.keep(b, 2);
    expect(tokens.recall(a)).toBeUndefined();
    tokens.keep(a, 3);
    tokens.keep(tokenOf("c"), 4);
    expect(tokens.recall(a)).toBe(3);
  });

  it("tells tokens apart that share a fingerprint", () => {
    const tokens = new SecondSight<number>(10);
    const tail = "s".repeat(43);
    tokens.keep(`a.p.${tail}`, 1);
    expect(tokens.recall(`b.p.${tail}`)).toBeUndefined();
    tokens.keep(`b.p.${tail}`, 2);
    expect(tokens.recall(`b.p.${tail}`)).toBe(2);
    expect(tokens.recall(`a.p.${tail}`)).toBeUndefined();
    expect(tokens.recall(`a.p.${tail.slice(0, -1)}t`)).toBeUndefined();
  });

  it("still serves one token when its capacity is one", () => {
    const tokens = new SecondSight<number>(1);
    for (const name of ["a", "b", "a", "b"]) {
      tokens.keep(tokenOf(name), 1);
      expect(tokens.recall(tokenOf(name))).toBe(1);
    }
  });

  it("hardly keeps what came once, and what came twice for the greater part", () => {
    const tokens = new SecondSight<number>(20_000);
    const once = Array.from({ length: 1000 }, () => `h.p.${randomBytes(32).toString("base64url")}`);
    for (const token of once) tokens.keep(token, 1);
    // The last one is kept beside. Others share a fingerprint with one that came before.
    expect(once.filter((token) => tokens.recall(token) !== undefined).length).toBeLessThan(5);
    for (const token of once) tokens.keep(token, 2);
    expect(once.filter((token) => tokens.recall(token) === 2).length).toBeGreaterThan(950);
  });

  it("takes any text", () => {
    const tokens = new SecondSight<number>(10);
    for (const text of ["", "a", "\u0141".repeat(100)]) {
      expect(tokens.recall(text)).toBeUndefined();
      tokens.keep(text, 1);
      expect(tokens.recall(text)).toBe(1);
    }
  });
});
