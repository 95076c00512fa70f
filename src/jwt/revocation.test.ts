import { afterEach, describe, expect, it, vi } from "vitest";
import fc from "../../test/fast-check.js";
import { MemoryRevocationList } from "./revocation.js";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("MemoryRevocationList", () => {
  it("agrees with a plain set as long as it is not full", () => {
    const step = fc.oneof(
      fc.record({ jti: fc.constantFrom("a", "b", "c", "d"), lifetime: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ wait: fc.integer({ min: 0, max: 10 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 1000;
        const list = new MemoryRevocationList({ clock: { wallMs: () => now * 1000, monotonicMs: () => 0 } });
        const expected = new Map<string, number>();
        for (const one of steps) {
          if ("wait" in one) now += one.wait;
          else {
            expected.set(one.jti, now + one.lifetime);
            list.revoke(one.jti, now + one.lifetime);
          }
          // What has expired may be forgotten; what has not must not be.
          for (const [jti, expiresAt] of expected) if (expiresAt > now) expect(list.isRevoked({ jti })).toBe(true);
          expect(list.isRevoked({ jti: "never" })).toBe(false);
        }
      }),
    );
  });

  it("forgets tokens that have expired", () => {
    let now = 0;
    const list = new MemoryRevocationList({ clock: { wallMs: () => now * 1000, monotonicMs: () => 0 } });
    for (let number = 0; number < 10_000; number++) {
      now = number;
      list.revoke(String(number), number + 10);
    }
    expect(list.size).toBeLessThan(50);
  });

  it("forgets subjects whose tokens have all expired, and none when it was not told a lifetime", () => {
    let now = 0;
    const clock = { wallMs: () => now * 1000, monotonicMs: () => 0 };
    const [list, forever] = [new MemoryRevocationList({ clock }), new MemoryRevocationList({ clock })];
    for (let number = 0; number < 1000; number++) {
      now = number;
      list.revokeAll(String(number), now * 1000, number === 0 ? 20 : 10);
      forever.revokeAll(String(number), now * 1000);
      for (let back = 0; back < 20 && back <= number; back++) {
        expect(list.isRevoked({ sub: String(number - back) })).toBe(true);
      }
    }
    expect(list.size).toBeLessThan(60);
    expect(forever.size).toBe(1000);
  });

  it("does not shorten what it was told", () => {
    const list = new MemoryRevocationList();
    list.revoke("a", 9e9);
    list.revoke("a", 8e9);
    expect(list.tokens.get("a")).toBe(9e9);
  });

  it("is bounded, forgets the oldest, and warns once", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const list = new MemoryRevocationList({ maxEntries: 3 });
    for (const jti of ["a", "b", "c", "a", "d", "e"]) list.revoke(jti, undefined);
    for (const sub of ["u", "v", "w", "u", "x"]) list.revokeAll(sub, 1000);
    expect(list.size).toBe(6);
    expect(list.isRevoked({ jti: "e" })).toBe(true);
    expect(list.isRevoked({ sub: "u" })).toBe(true);
    expect(list.isRevoked({ sub: "v" })).toBe(false);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it("never moves the moment of a subject back", () => {
    const list = new MemoryRevocationList();
    list.revokeAll("u", 5000);
    list.revokeAll("u", 4000);
    expect(list.isRevoked({ sub: "u", iat: 5 })).toBe(true);
    expect(list.isRevoked({ sub: "u", iat: 6 })).toBe(false);
  });
});
