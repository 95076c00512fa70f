import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SeenTokens } from "./seen-tokens.js";

const token = () => `h.p.${randomBytes(32).toString("base64url")}`;

describe("SeenTokens", () => {
  it("has what was added, and hardly anything else", () => {
    const seen = new SeenTokens(10_000);
    const tokens = Array.from({ length: 1000 }, token);
    expect(tokens.filter((one) => seen.has(one))).toEqual([]);
    const added = tokens.filter((one) => seen.add(one));
    expect(added.length).toBeGreaterThan(990);
    // The others were pushed out of their slots.
    expect(added.filter((one) => seen.has(one)).length).toBeGreaterThan(950);
    expect(Array.from({ length: 1000 }, token).filter((one) => seen.has(one)).length).toBeLessThan(5);
  });

  it("says when one is added again", () => {
    const seen = new SeenTokens(1);
    const one = token();
    expect([seen.add(one), seen.add(one)]).toEqual([true, false]);
  });

  it("does not grow", () => {
    const seen = new SeenTokens(1);
    const tokens = Array.from({ length: 20_000 }, token);
    for (const one of tokens) seen.add(one);
    expect(tokens.filter((one) => seen.has(one)).length).toBeLessThanOrEqual(4096);
  });

  it("takes any text", () => {
    const seen = new SeenTokens(1);
    for (const text of ["", "a", "\u0141".repeat(100)]) {
      expect([seen.has(text), seen.add(text), seen.has(text)]).toEqual([false, true, true]);
    }
  });
});
