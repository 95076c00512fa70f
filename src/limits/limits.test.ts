import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { ConfigError } from "../core/errors.js";
import { EventHub } from "../core/events.js";
import { LoadMonitor } from "../overload/load.js";
import { RateLimitConfig } from "./config.js";
import { RateLimits } from "./limits.js";
import { MemoryRateLimitStore } from "./memory/store.js";
import type { RateLimitPolicy } from "./store.js";

const snapshot = {
  cpu: 0.5,
  eventLoopUtilization: 0.4,
  eventLoopDelayMs: 1,
  memory: 0.25,
  latencyMs: 12,
  inFlight: 3,
  backlogMs: 2,
};
class SteadyLoad extends LoadMonitor {
  override snapshot() {
    return snapshot;
  }

  override inFlight = snapshot.inFlight;
}
const load = new SteadyLoad();

function limits(...configs: readonly RateLimitConfig[]): RateLimits {
  return new RateLimits(configs, { clock: new TestClock(0), events: new EventHub(), load, ipv6Prefix: 64 });
}

const common = RateLimitConfig.tokenBucket({ requests: 10, window: 10 });

describe("RateLimits", () => {
  it("peeks, consumes and resets by key", () => {
    const all = limits(common, RateLimitConfig.slidingWindow({ name: "login", requests: 5, window: 300 }));
    expect(all.peek("203.0.113.9")).toEqual({
      name: "default",
      isAllowed: true,
      limit: 10,
      remaining: 10,
      reset: 0,
      retryAfter: 0,
    });
    expect(all.consume("203.0.113.9", 10)).toMatchObject({ isAllowed: true, remaining: 0, reset: 10 });
    expect(all.consume("203.0.113.9")).toMatchObject({ isAllowed: false, retryAfter: 1 });
    expect(all.consume("203.0.113.9", 2, "login")).toMatchObject({ name: "login", remaining: 3 });
    all.reset("203.0.113.9");
    expect(all.peek("203.0.113.9")).toMatchObject({ remaining: 10 });
    expect(all.peek("203.0.113.9", "login")).toMatchObject({ remaining: 3 });
  });

  it("takes an IPv6 address for its network, as requests are counted", () => {
    const all = limits(common);
    all.consume("2001:db8::1", 4);
    expect(all.peek("2001:db8::2")).toMatchObject({ remaining: 6 });
  });

  it("refuses names that it does not know, two limits of one name, and costs that are none", () => {
    expect(() => limits().peek("key")).toThrow(ConfigError);
    expect(() => limits(common).peek("key", "login")).toThrow(/no limit is named "login"; name one of "default"/);
    expect(() => limits(common, RateLimitConfig.tokenBucket({ requests: 1, window: 1 }))).toThrow(ConfigError);
    for (const cost of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => limits(common).consume("key", cost)).toThrow(TypeError);
      expect(() => limits(common).consume("key", cost, { debt: true })).toThrow(TypeError);
    }
  });

  it("refuses arguments that it does not understand", () => {
    const all: { [method in "consume" | "peek" | "reset"]: (...given: unknown[]) => unknown } = {
      consume: (...given) => Reflect.apply(limits(common).consume, limits(common), given),
      peek: (...given) => Reflect.apply(limits(common).peek, limits(common), given),
      reset: (...given) => Reflect.apply(limits(common).reset, limits(common), given),
    };
    for (const key of [undefined, 7, null, ["a"]]) {
      expect(() => all.consume(key)).toThrow(/rateLimit.consume: a key is a string/);
      expect(() => all.peek(key)).toThrow(/rateLimit.peek: a key is a string/);
      expect(() => all.reset(key)).toThrow(/rateLimit.reset: a key is a string/);
    }
    expect(() => all.consume("key", 1, { dept: true })).toThrow(/no option "dept"; write consume/);
    expect(() => all.consume("key", 1, { debt: "yes" })).toThrow(TypeError);
    expect(() => all.consume("key", 1, { name: 7 })).toThrow(TypeError);
    expect(() => all.consume("key", 1, null)).toThrow(TypeError);
    expect(() => all.consume("key", "5")).toThrow(TypeError);
  });

  it.each(["tokenBucket", "slidingWindow"] as const)("charges a %s into debt for work that is done already", (make) => {
    const clock = new TestClock(0);
    const configs = [RateLimitConfig[make]({ name: "bytes", requests: 10, window: 10 })];
    const all = new RateLimits(configs, { clock, events: new EventHub(), load, ipv6Prefix: 64 });
    const owing = { name: "bytes", debt: true } as const;
    expect(all.consume("key", 9, owing)).toMatchObject({ isAllowed: true, remaining: 1, retryAfter: 0 });
    expect(all.consume("key", 5, "bytes")).toMatchObject({ isAllowed: false, remaining: 1 });
    const charged = all.consume("key", 5, owing);
    const retryAfter = make === "tokenBucket" ? 5 : 10;
    expect(charged).toMatchObject({ isAllowed: false, remaining: 0, debt: 4, retryAfter });
    expect(all.peek("key", "bytes")).toEqual(charged);
    clock.nowMs += retryAfter * 1000 - 1;
    expect(all.consume("key", 1, "bytes")).toMatchObject({ isAllowed: false, retryAfter: 1 });
    clock.nowMs += 1;
    expect(all.consume("key", 1, "bytes")).toMatchObject({ isAllowed: true });
    expect(all.peek("key", "bytes")).not.toHaveProperty("debt");
  });

  it.each(["tokenBucket", "slidingWindow"] as const)("lets nobody owe a %s more than another quota", (make) => {
    const clock = new TestClock(0);
    const all = new RateLimits([RateLimitConfig[make]({ requests: 10, window: 10 })], {
      clock,
      events: new EventHub(),
      load,
      ipv6Prefix: 64,
    });
    for (const cost of [7, 1_000_000, Number.MAX_SAFE_INTEGER, 3]) all.consume("key", cost, { debt: true });
    expect(all.peek("key")).toMatchObject({ remaining: 0, debt: 10, reset: 10 });
    // Nothing costs nothing, whatever is owed.
    expect(all.consume("key", 0, { debt: true })).toMatchObject({ isAllowed: true });
    clock.nowMs += 11_000;
    expect(all.consume("key")).toMatchObject({ isAllowed: true });
  });

  it("says so when a limit's store cannot charge into debt", () => {
    const memory = new MemoryRateLimitStore();
    const store = {
      consume: memory.consume.bind(memory),
      peek: memory.peek.bind(memory),
      reset: memory.reset.bind(memory),
    };
    const all = limits(RateLimitConfig.tokenBucket({ requests: 10, window: 10, store }));
    expect(all.consume("key", 1)).toMatchObject({ isAllowed: true });
    expect(() => all.consume("key", 1, { debt: true })).toThrow(/store of the limit "default" has no method charge/);
  });

  it("puts a route's limit in the place of the application's with its name, and adds others", () => {
    const all = limits(common, RateLimitConfig.tokenBucket({ name: "daily", requests: 1000, window: 86_400 }));
    const own = RateLimitConfig.slidingWindow({ requests: 5, window: 300 });
    const burst = RateLimitConfig.tokenBucket({ name: "burst", requests: 3, window: 1 });
    expect(all.forRoute([], "/a").map(({ config }) => config)).toEqual(all.limiters.map(({ config }) => config));
    const route = all.forRoute([own, burst], "/login");
    expect(route.map(({ name }) => name)).toEqual(["daily", "default", "burst"]);
    expect(route[0]).toBe(all.limiters[1]);
    expect(all.forRoute([own], "/login")[1]).toBe(route[1]);
    expect(all.peek("key", "burst")).toMatchObject({ limit: 3 });
    expect(all.peek("key")).toMatchObject({ limit: 10 });
  });

  it("refuses two limits of one route with one name", () => {
    const all = limits(common);
    const own = () => RateLimitConfig.tokenBucket({ name: "own", requests: 3, window: 1 });
    expect(() => all.forRoute([own(), own()], "/a")).toThrow(/two limits are named "own"/);
    const same = own();
    expect(() => all.forRoute([same, same], "/a")).toThrow(ConfigError);
    expect(all.forRoute([same], "/a")).toHaveLength(2);
  });

  it("tells each limit of a store from the others", () => {
    const ids: string[] = [];
    const memory = new MemoryRateLimitStore();
    const store = {
      consume: (policy: RateLimitPolicy, key: string, cost: number) => {
        ids.push(policy.id);
        return memory.consume(policy, key, cost);
      },
      peek: memory.peek.bind(memory),
      reset: memory.reset.bind(memory),
    };
    const config = () => RateLimitConfig.tokenBucket({ requests: 5, window: 60, store });
    const all = limits(config());
    const routes = [all.forRoute([config()], "/a"), all.forRoute([config()], "/a"), all.forRoute([config()], "/b")];
    for (const limiter of [...all.limiters, ...routes.flat()]) limiter.counts.consume("key", 1);
    expect(ids).toEqual(["default", "default /a", "default /a 2", "default /b"]);
  });

  it("shows the load and what the adaptive limits made of it", () => {
    expect(limits(common)).toMatchObject({
      isAdaptive: false,
      load: { cpu: 0.5, memory: 0.25, latencyMs: 12, limits: [] },
    });
    const all = limits(RateLimitConfig.adaptive({ baseRequests: 50, window: 60 }));
    expect(all.isAdaptive).toBe(true);
    expect(all.load.limits).toEqual([
      { name: "default", limit: 50, baseLimit: 50, reason: "recovery", concurrency: undefined },
    ]);
  });

  it("closes each store once", async () => {
    let closed = 0;
    const store = Object.assign(new MemoryRateLimitStore(), { close: () => void closed++ });
    const all = limits(
      RateLimitConfig.tokenBucket({ name: "a", requests: 1, window: 1, store }),
      RateLimitConfig.tokenBucket({ name: "b", requests: 1, window: 1, store }),
      RateLimitConfig.tokenBucket({ name: "c", requests: 1, window: 1 }),
    );
    await all.close();
    expect(closed).toBe(1);
  });
});

describe("MemoryRateLimitStore", () => {
  it("gives back for a negative cost and keeps policies of other figures apart", () => {
    const store = new MemoryRateLimitStore({ clock: new TestClock(0) });
    const policy: RateLimitPolicy = {
      id: "a",
      name: "a",
      algorithm: "token-bucket",
      requests: 5,
      windowMs: 1000,
      maxKeys: 10,
      isAdaptive: false,
      requestsInForce: 5,
    };
    expect(store.consume(policy, "key", 3).remaining).toBe(2);
    expect(store.consume(policy, "key", -2).remaining).toBe(4);
    expect(store.peek({ ...policy }, "key").remaining).toBe(4);
    expect(store.peek({ ...policy, requests: 9 }, "key").remaining).toBe(9);
    store.reset(policy, "key");
    expect(store.peek(policy, "key").remaining).toBe(5);
  });
});
