import { parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { RateLimitConfig, type RateLimitHeaders } from "./config.js";
import { appendLimitFields, LimitFields, retryAfterSeconds } from "./header-fields.js";
import type { RateLimitDecision } from "./store.js";

function decision(limit: number, remaining: number, resetMs: number): RateLimitDecision {
  return { isAllowed: true, limit, remaining, resetMs, retryAfterMs: 0, wasReduced: false };
}

function verdict(name: string, headers: RateLimitHeaders, said: RateLimitDecision, window = 60) {
  const config = RateLimitConfig.tokenBucket({ name, requests: said.limit, window, headers });
  return { limiter: { fields: new LimitFields(config) }, decision: said };
}

function headerFields(verdicts: Parameters<typeof appendLimitFields>[1]): string[] {
  const lines: string[] = [];
  appendLimitFields(lines, verdicts);
  return lines;
}

describe("appendLimitFields", () => {
  it("writes the fields of one limit as the draft does", () => {
    expect(headerFields([verdict("default", "standard", decision(100, 99, 600))])).toEqual([
      "RateLimit-Policy",
      '"default";q=100;w=60',
      "RateLimit",
      '"default";r=99;t=1',
    ]);
  });

  it("joins several limits in the order given", () => {
    const list = [verdict("b", "standard", decision(5, 0, 60_000)), verdict("a", "both", decision(10, 9, 1))];
    expect(headerFields(list)).toEqual([
      "RateLimit-Policy",
      '"b";q=5;w=60, "a";q=10;w=60',
      "RateLimit",
      '"b";r=0;t=60, "a";r=9;t=1',
      "X-RateLimit-Limit",
      "10",
      "X-RateLimit-Remaining",
      "9",
      "X-RateLimit-Reset",
      "1",
    ]);
  });

  it("writes the old fields alone, both, or none", () => {
    const names = (headers: RateLimitHeaders) =>
      headerFields([verdict("a", headers, decision(10, 9, 1500))]).filter((_, index) => index % 2 === 0);
    expect(names("legacy")).toEqual(["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]);
    expect(names("both")).toHaveLength(5);
    expect(names("none")).toEqual([]);
  });

  it("rounds a window up to whole seconds and follows an adaptive limit", () => {
    const config = RateLimitConfig.adaptive({ baseRequests: 100, window: 0.5 });
    const fields = new LimitFields(config);
    expect(fields.policy(100)).toBe('"default";q=100;w=1');
    expect(fields.policy(20)).toBe('"default";q=20;w=1');
    expect(fields.policy(100)).toBe('"default";q=100;w=1');
  });

  it("is read back by a parser of structured fields, whatever the name", () => {
    const name = fc
      .string({
        unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
        minLength: 1,
        maxLength: 20,
      })
      // A blank name is a ConfigError.
      .filter((text) => text.trim() !== "");
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, fc.integer({ min: 1, max: 1e9 }), fc.nat(1e9)), { minLength: 1, maxLength: 3 }),
        (limits) => {
          const [, policy, , state] = headerFields(
            limits.map(([text, limit, resetMs]) => verdict(text, "standard", decision(limit, limit - 1, resetMs))),
          );
          const policies = parseList(policy ?? "");
          const states = parseList(state ?? "");
          for (const [index, [text, limit, resetMs]] of limits.entries()) {
            expect(policies[index]).toEqual([
              text,
              new Map([
                ["q", limit],
                ["w", 60],
              ]),
            ]);
            expect(states[index]).toEqual([
              text,
              new Map([
                ["r", limit - 1],
                ["t", Math.min(60, Math.ceil(resetMs / 1000))],
              ]),
            ]);
          }
        },
      ),
      runs(200),
    );
  });

  it("says what is so now, whatever it said last", () => {
    const few = fc.integer({ min: 1, max: 3 });
    const headers = fc.constantFrom<RateLimitHeaders>("standard", "legacy", "both", "none");
    fc.assert(
      fc.property(headers, fc.array(fc.tuple(few, few, few), { maxLength: 30 }), (kind, said) => {
        const config = RateLimitConfig.tokenBucket({ requests: 3, window: 60, headers: kind });
        const fields = new LimitFields(config);
        for (const [limit, remaining, seconds] of said) {
          const one = decision(limit, remaining, seconds * 1000);
          const fresh = headerFields([{ limiter: { fields: new LimitFields(config) }, decision: one }]);
          expect(headerFields([{ limiter: { fields }, decision: one }])).toEqual(fresh);
        }
      }),
      runs(200),
    );
  });

  it("says as t when more comes: not after the window, nor after Retry-After", () => {
    const shown = (said: RateLimitDecision) => headerFields([verdict("a", "both", said)]).filter((_, at) => at % 2 > 0);
    expect(shown({ ...decision(100, 40, 36_000), moreMs: 600 })).toEqual([
      '"a";q=100;w=60',
      '"a";r=40;t=1',
      "100",
      "40",
      "36",
    ]);
    expect(shown({ ...decision(5, 4, 60_001), moreMs: 60_001 })[1]).toBe('"a";r=4;t=60');
    expect(shown({ ...decision(5, 4, 60_001), moreMs: 60_001 })[4]).toBe("60");
    const refused = { ...decision(5, 0, 60_000), isAllowed: false, retryAfterMs: 1200 };
    expect(shown(refused)[1]).toBe('"a";r=0;t=2');
    expect(shown({ ...refused, moreMs: 500 })[1]).toBe('"a";r=0;t=1');
  });

  it("never says Retry-After: 0", () => {
    expect(retryAfterSeconds({ ...decision(1, 0, 1), retryAfterMs: 0 })).toBe(1);
    expect(retryAfterSeconds({ ...decision(1, 0, 1), retryAfterMs: 1001 })).toBe(2);
  });
});
