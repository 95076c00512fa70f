import { describe, expect, it } from "vitest";
import { quotaExceeded } from "./refusals.js";

describe("TemporaryRefusal", () => {
  it("says the seconds that it is asked for, across more than it keeps", () => {
    const exceeded = quotaExceeded(["default"]);
    for (let round = 0; round < 2; round++) {
      for (let seconds = 1; seconds <= 600; seconds++) {
        const { status, headers, body } = exceeded.after(seconds);
        expect(headers.slice(-2)).toEqual(["Retry-After", String(seconds)]);
        expect(headers).toHaveLength(8);
        expect([status, JSON.parse(body).status]).toEqual([429, 429]);
      }
    }
  });

  it("builds an answer once, and lets nobody change it", () => {
    const exceeded = quotaExceeded(["default"]);
    const first = exceeded.after(30);
    expect(exceeded.after(30)).toBe(first);
    expect(exceeded.after(31)).not.toBe(first);
    expect(Object.isFrozen(first) && Object.isFrozen(first.headers)).toBe(true);
  });
});
