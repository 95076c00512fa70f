import { parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { AddressCheck } from "../client/address-check.js";
import { ClientAddressResolver } from "../client/client-address.js";
import { EventHub } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import { LoadMonitor } from "../overload/load.js";
import { RateLimitConfig, type RateLimitRequest } from "./config.js";
import { appendLimitFields } from "./header-fields.js";
import { RateLimiter } from "./limiter.js";
import { MemoryRateLimitStore } from "./memory/store.js";
import { countBy, type LimitedPassage } from "./step.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "./store.js";
import type { LimitsVerdict } from "./verdict.js";

const clock = new TestClock(0);
let events = new EventHub();
const load = new LoadMonitor({ clock });

function limiter(config: RateLimitConfig): RateLimiter {
  return new RateLimiter(config, { clock, events, load, ipv6Prefix: 64 });
}

type Step = ReturnType<typeof countBy>;

function stepOf(limiters: readonly RateLimiter[]): Step {
  return countBy(limiters, new AddressCheck(new ClientAddressResolver(), events, false));
}

function step(...configs: readonly RateLimitConfig[]): Step {
  return stepOf(configs.map(limiter));
}

function view(clientIp: string, request: Partial<RateLimitRequest> = {}): RequestView & { request: RateLimitRequest } {
  return {
    method: "GET",
    request: { method: "GET", url: "/", headers: {}, clientIp, ...request },
    requestId: "req-1",
    rawPath: "/x",
    peerAddress: clientIp,
    clientIp,
    isSecure: false,
    host: "localhost",
    header: () => undefined,
    headerCount: () => 0,
  };
}

/** What a step leaves in a request. */
function ask(asked: Step, clientIp = "203.0.113.9", identity?: string, path?: string) {
  const verified = { claims: { sub: identity } };
  const current = { view: view(clientIp), isPreflight: false, verified, path, inFlight: undefined };
  const passage: LimitedPassage = { ...current, limits: undefined };
  const result = asked(passage);
  if (result instanceof Promise) {
    return result.then((refusal) => {
      expect(refusal).toEqual(passage.limits?.refusal);
      return passage.limits;
    });
  }
  expect(result).toEqual(passage.limits?.refusal);
  return passage.limits;
}

function now(asked: Step, clientIp?: string, identity?: string, path?: string): LimitsVerdict {
  const outcome = ask(asked, clientIp, identity, path);
  if (outcome === undefined || outcome instanceof Promise) throw new TypeError("expected an outcome at once");
  return outcome;
}

function headersOf({ verdicts }: LimitsVerdict): string[] {
  const lines: string[] = [];
  appendLimitFields(lines, verdicts);
  return lines;
}

function field(outcome: LimitsVerdict, name: string): string | undefined {
  const headers = headersOf(outcome);
  const index = headers.indexOf(name);
  return index === -1 ? undefined : headers[index + 1];
}

function retryAfter(outcome: LimitsVerdict): number {
  const headers = outcome.refusal?.headers ?? [];
  return Number(headers[headers.indexOf("Retry-After") + 1]);
}

/** A store that answers later, and fails when told to. */
class LateStore implements RateLimitStore {
  readonly memory = new MemoryRateLimitStore({ clock });
  isDown = false;
  asked = 0;

  async consume(policy: RateLimitPolicy, key: string, cost: number): Promise<RateLimitDecision> {
    return this.#answer(() => this.memory.consume(policy, key, cost));
  }

  async peek(policy: RateLimitPolicy, key: string, cost?: number): Promise<RateLimitDecision> {
    return this.#answer(() => this.memory.peek(policy, key, cost));
  }

  async reset(policy: RateLimitPolicy, key: string): Promise<void> {
    return this.#answer(() => this.memory.reset(policy, key));
  }

  async #answer<Value>(value: () => Value): Promise<Value> {
    this.asked++;
    await Promise.resolve();
    if (this.isDown) throw new Error("connection refused");
    return value();
  }
}

describe("the step of the limits", () => {
  it("admits up to the limit, then answers 429 with problem details and the fields of the draft", () => {
    const asked = step(RateLimitConfig.tokenBucket({ requests: 2, window: 60 }));
    const first = now(asked);
    expect(first.refusal).toBeUndefined();
    expect(headersOf(first)).toEqual(["RateLimit-Policy", '"default";q=2;w=60', "RateLimit", '"default";r=1;t=30']);
    expect(first.state).toEqual({ name: "default", isAllowed: true, limit: 2, remaining: 1, reset: 30, retryAfter: 0 });
    now(asked);
    const refused = now(asked);
    expect(refused.refusal?.status).toBe(429);
    expect(refused.refusal?.headers).toContain("application/problem+json");
    expect(retryAfter(refused)).toBe(30);
    expect(JSON.parse(refused.refusal?.body ?? "")).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      status: 429,
      "violated-policies": ["default"],
    });
    expect(headersOf(refused)).toEqual(["RateLimit-Policy", '"default";q=2;w=60', "RateLimit", '"default";r=0;t=30']);
    expect(refused.state).toMatchObject({ isAllowed: false, remaining: 0, retryAfter: 30 });
    expect(now(asked, "203.0.113.10").refusal).toBeUndefined();
  });

  it("counts IPv6 clients by their network", () => {
    const asked = step(RateLimitConfig.tokenBucket({ requests: 1, window: 60 }));
    expect(now(asked, "2001:db8:1:2::1").refusal).toBeUndefined();
    expect(now(asked, "2001:db8:1:2:ffff::9").refusal?.status).toBe(429);
    expect(now(asked, "2001:db8:1:3::1").refusal).toBeUndefined();
  });

  it("counts by identity where there is one, and by address otherwise", () => {
    const asked = step(RateLimitConfig.tokenBucket({ requests: 1, window: 60, keyBy: "identity" }));
    expect(now(asked, "203.0.113.1", "u1").refusal).toBeUndefined();
    expect(now(asked, "203.0.113.2", "u1").refusal?.status).toBe(429);
    expect(now(asked, "203.0.113.2", "u2").refusal).toBeUndefined();
    expect(now(asked, "203.0.113.1").refusal).toBeUndefined();
    expect(now(asked, "203.0.113.3", "203.0.113.1").refusal).toBeUndefined();
    expect(now(asked, "203.0.113.1").refusal?.status).toBe(429);
  });

  it("does not limit excluded paths, and limits what cannot be decoded", () => {
    const asked = step(RateLimitConfig.tokenBucket({ requests: 1, window: 60, exclude: ["/health", "/public/*"] }));
    for (const path of ["/health", "/public/a"]) expect(ask(asked, "203.0.113.9", undefined, path)).toBeUndefined();
    now(asked, "203.0.113.9", undefined, undefined);
    for (const path of [undefined, "/Health", "//health", "/public/../x"]) {
      expect(now(asked, "203.0.113.9", undefined, path).refusal?.status).toBe(429);
    }
  });

  it("has nothing to say when no limit applies", () => {
    expect(ask(stepOf([]))).toBeUndefined();
    const keyless = RateLimitConfig.tokenBucket({ requests: 1, window: 60, key: () => undefined });
    expect(ask(step(keyless))).toBeUndefined();
    expect(
      ask(step(keyless, RateLimitConfig.tokenBucket({ name: "b", requests: 1, window: 60, key: () => undefined }))),
    ).toBeUndefined();
  });

  it("takes nothing from any limit when one of several refuses", async () => {
    const wide = RateLimitConfig.tokenBucket({ name: "wide", requests: 10, window: 60 });
    const narrow = RateLimitConfig.slidingWindow({ name: "narrow", requests: 2, window: 10 });
    const last = RateLimitConfig.slidingWindow({ name: "last", requests: 10, window: 10 });
    const limiters = [wide, narrow, last].map(limiter);
    const asked = stepOf(limiters);
    for (let index = 0; index < 50; index++) now(asked);
    const left = await Promise.all(limiters.map((one) => one.counts.peek("203.0.113.9", 1)));
    expect(left.map(({ remaining }) => remaining)).toEqual([8, 0, 8]);
    const refused = now(asked);
    expect(JSON.parse(refused.refusal?.body ?? "")).toMatchObject({ "violated-policies": ["narrow"] });
    expect(parseList(field(refused, "RateLimit") ?? "").map(([name]) => name)).toEqual(["narrow", "wide", "last"]);
    expect(field(refused, "RateLimit")).toContain('"wide";r=8');
  });

  it("asks to wait for the slowest of the limits that refuse, and names them all", () => {
    const asked = step(
      RateLimitConfig.slidingWindow({ name: "second", requests: 1, window: 1 }),
      RateLimitConfig.slidingWindow({ name: "hour", requests: 1, window: 3600 }),
    );
    now(asked);
    const refused = now(asked);
    expect(retryAfter(refused)).toBe(3600);
    expect(JSON.parse(refused.refusal?.body ?? "")["violated-policies"].toSorted()).toEqual(["hour", "second"]);
    clock.nowMs += 3_600_000;
    expect(now(asked).refusal).toBeUndefined();
  });

  it("counts and reports in a dry run, and never refuses", () => {
    events = new EventHub();
    const seen: unknown[] = [];
    events.on("ratelimit.exceeded", (event) => seen.push(event));
    const asked = step(
      RateLimitConfig.tokenBucket({ name: "dry", requests: 1, window: 60, dryRun: true }),
      RateLimitConfig.tokenBucket({ name: "real", requests: 2, window: 60 }),
    );
    now(asked);
    const second = now(asked);
    expect(second.refusal).toBeUndefined();
    expect(second.state).toMatchObject({ name: "dry", isAllowed: false, remaining: 0 });
    expect(now(asked).refusal?.status).toBe(429);
    expect(seen).toEqual([
      expect.objectContaining({ name: "dry", dryRun: true, retryAfter: 60, limit: 1, requestId: "req-1", path: "/x" }),
      expect.objectContaining({ name: "dry", dryRun: true }),
      expect.objectContaining({ name: "real", dryRun: false, retryAfter: 30, clientIp: "203.0.113.9" }),
    ]);
  });

  it("merges what two steps said, the tightest first, and refuses when either does", () => {
    const client = step(RateLimitConfig.tokenBucket({ name: "client", requests: 10, window: 60 }));
    const identity = step(RateLimitConfig.tokenBucket({ name: "user", requests: 4, window: 60, keyBy: "identity" }));
    const merged = now(client).and(now(identity, undefined, "u1"));
    expect(field(merged, "RateLimit")).toBe('"user";r=3;t=15, "client";r=9;t=6');
    expect(field(merged, "RateLimit-Policy")).toBe('"user";q=4;w=60, "client";q=10;w=60');
    expect(merged.state?.name).toBe("user");
    expect(merged.refusal).toBeUndefined();
    for (let index = 0; index < 4; index++) now(identity, undefined, "u1");
    expect(now(client).and(now(identity, undefined, "u1")).refusal?.status).toBe(429);
  });
});

describe("cost and key functions", () => {
  it("take what they say", () => {
    const asked = step(
      RateLimitConfig.tokenBucket({ requests: 10, window: 60, cost: (request) => (request.url === "/" ? 4 : 0) }),
    );
    expect(now(asked).state?.remaining).toBe(6);
    expect(now(asked).state?.remaining).toBe(2);
    expect(now(asked).refusal?.status).toBe(429);
    const free = step(RateLimitConfig.slidingWindow({ requests: 1, window: 60, cost: () => 0 }));
    for (let index = 0; index < 5; index++) expect(now(free).refusal).toBeUndefined();
  });

  it.each([[Number.NaN], [-1], [1.5], [Number.POSITIVE_INFINITY], ["1"], [undefined], ["throw"]])(
    "count as 1 and warn once when the cost is %j",
    (answer) => {
      events = new EventHub();
      const warnings: string[] = [];
      events.on("config.warning", (warning) => warnings.push(warning.code));
      const cost: () => number = () => {
        if (answer === "throw") throw new Error("boom");
        return JSON.parse(JSON.stringify(answer) ?? "null") ?? answer;
      };
      const asked = step(RateLimitConfig.tokenBucket({ requests: 2, window: 60, cost }));
      expect(now(asked).state?.remaining).toBe(1);
      now(asked);
      expect(now(asked).refusal?.status).toBe(429);
      expect(warnings).toEqual(["CELLO_RATE_LIMIT_COST"]);
    },
  );

  it("that are async count by address and as 1, and their rejections end nothing", async () => {
    events = new EventHub();
    const warnings: string[] = [];
    events.on("config.warning", (warning) => warnings.push(warning.message));
    // What JavaScript lets through, and the types do not.
    const late: () => never = () => Promise.reject(new Error("late")) as never;
    const asked = step(RateLimitConfig.tokenBucket({ requests: 2, window: 60, key: late, cost: late }));
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    for (let sent = 0; sent < 2; sent++) expect(now(asked).refusal).toBeUndefined();
    expect(now(asked).refusal?.status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).toContain("answered a promise");
  });

  it.each([[7], [null], [{}], ["throw"]])("count by address and warn once when the key is %j", (answer) => {
    events = new EventHub();
    const warnings: string[] = [];
    events.on("config.warning", (warning) => warnings.push(warning.message));
    const key: () => string = () => {
      if (answer === "throw") throw new Error("secret-token");
      return JSON.parse(JSON.stringify(answer));
    };
    const asked = step(RateLimitConfig.tokenBucket({ requests: 1, window: 60, key }));
    expect(now(asked, "203.0.113.1").refusal).toBeUndefined();
    expect(now(asked, "203.0.113.1").refusal?.status).toBe(429);
    expect(now(asked, "203.0.113.2").refusal).toBeUndefined();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain("secret-token");
  });
});

describe("a limit with a store", () => {
  const options = { requests: 2, window: 60 };

  it("waits for it and decides as it says", async () => {
    const asked = step(RateLimitConfig.tokenBucket({ ...options, store: new LateStore() }));
    expect(ask(asked)).toBeInstanceOf(Promise);
    expect((await ask(asked))?.refusal).toBeUndefined();
    expect((await ask(asked))?.refusal?.status).toBe(429);
  });

  it("answers at once when the store does", () => {
    const asked = step(RateLimitConfig.tokenBucket({ ...options, store: new MemoryRateLimitStore({ clock }) }));
    expect(now(asked).state?.remaining).toBe(1);
  });

  it("is not asked when memory refuses already, and gets back what memory then refused", async () => {
    const store = new LateStore();
    const stored = limiter(RateLimitConfig.slidingWindow({ name: "stored", requests: 100, window: 60, store }));
    const local = limiter(RateLimitConfig.slidingWindow({ name: "local", requests: 3, window: 60 }));
    const asked = stepOf([stored, local]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(asked)));
    expect(answers.filter((outcome) => outcome?.refusal === undefined)).toHaveLength(3);
    expect((await stored.counts.peek("203.0.113.9", 1)).remaining).toBe(97);
    const before = store.asked;
    expect(now(asked).refusal?.status).toBe(429);
    expect(store.asked).toBe(before);
  });

  it("gives memory nothing to keep when the store refuses", async () => {
    const stored = RateLimitConfig.slidingWindow({ name: "stored", requests: 1, window: 60, store: new LateStore() });
    const local = limiter(RateLimitConfig.slidingWindow({ name: "local", requests: 9, window: 60 }));
    const asked = stepOf([limiter(stored), local]);
    for (let index = 0; index < 5; index++) await ask(asked);
    expect((await local.counts.peek("203.0.113.9", 1)).remaining).toBe(8);
  });

  it.each([
    ["local", [undefined, undefined, 429]],
    ["allow", [undefined, undefined, undefined]],
    ["deny", [503, 503, 503]],
  ] as const)("does %s while it fails, tells so once, and recovers by itself", async (onStoreError, expected) => {
    events = new EventHub();
    const told: string[] = [];
    events.on("store.error", ({ store, message }) => told.push(`${store}: ${message}`));
    events.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
    const store = new LateStore();
    store.isDown = true;
    const other = step(RateLimitConfig.tokenBucket({ ...options, name: "other", store, onStoreError }));
    const asked = step(RateLimitConfig.tokenBucket({ ...options, store, onStoreError }));
    const outcomes = [await ask(asked), await ask(asked), await ask(asked)];
    await ask(other);
    expect(outcomes.map((outcome) => outcome?.refusal?.status)).toEqual(expected);
    const [first] = outcomes;
    if (onStoreError === "deny" && first !== undefined) {
      expect(retryAfter(first)).toBe(1);
      expect(headersOf(first)).toEqual([]);
      expect(JSON.parse(first.refusal?.body ?? "").type).toMatch(/#temporary-reduced-capacity$/);
    }
    store.isDown = false;
    await ask(asked);
    await ask(other);
    expect(told).toEqual(["rate-limit: connection refused", "rate-limit recovered"]);
  });

  it.each([[undefined], [null], [{}], [{ isAllowed: true }], ["yes"]])(
    "does not let the answer %j open the door",
    (answer) => {
      const store: RateLimitStore = {
        consume: () => JSON.parse(JSON.stringify(answer ?? null)) ?? answer,
        peek: () => {
          throw new Error("no");
        },
        reset: () => undefined,
      };
      const asked = step(RateLimitConfig.tokenBucket({ ...options, store, onStoreError: "deny" }));
      expect(now(asked).refusal?.status).toBe(503);
    },
  );
});
