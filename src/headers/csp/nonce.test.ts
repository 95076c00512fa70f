import { describe, expect, it } from "vitest";
import { createNonce } from "./nonce.js";

describe("createNonce", () => {
  it("gives 128 bits in base64", () => {
    const nonce = createNonce();
    expect(nonce).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    expect(Buffer.from(nonce, "base64")).toHaveLength(16);
    expect(Buffer.from(nonce, "base64").toString("base64")).toBe(nonce);
  });

  it("never gives one twice, across many fillings of its pool", () => {
    const nonces = new Set(Array.from({ length: 100_000 }, createNonce));
    expect(nonces.size).toBe(100_000);
  });

  it("sets each of the 128 bits about half of the time", () => {
    const count = 20_000;
    const ones = new Array<number>(128).fill(0);
    for (let n = 0; n < count; n++) {
      const bytes = Buffer.from(createNonce(), "base64");
      for (let bit = 0; bit < 128; bit++) {
        ones[bit] = (ones[bit] ?? 0) + (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1);
      }
    }
    // Eight standard deviations: a fair generator fails this once in 10^13 runs.
    const tolerance = (8 * Math.sqrt(count)) / 2;
    for (const one of ones) expect(Math.abs(one - count / 2)).toBeLessThan(tolerance);
  });
});
