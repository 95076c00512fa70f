import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { RateLimitConfig } from "./config.js";
import { MemoryRateLimitStore } from "./memory/store.js";

/** As JavaScript calls it, without types to stop it. */
function make(algorithm: "tokenBucket" | "slidingWindow" | "adaptive", options: unknown): unknown {
  return Reflect.apply(RateLimitConfig[algorithm], RateLimitConfig, [options]);
}

const base = { requests: 100, window: 60 };
const adaptive = { baseRequests: 100, window: 60 };

describe("RateLimitConfig", () => {
  it("has the documented defaults", () => {
    expect(RateLimitConfig.tokenBucket(base)).toMatchObject({
      algorithm: "token-bucket",
      requests: 100,
      window: 60,
      name: "default",
      key: undefined,
      keyBy: "client",
      exclude: [],
      cost: 1,
      store: undefined,
      headers: "standard",
      dryRun: false,
      onStoreError: "local",
      maxKeys: 1_000_000,
    });
    expect(RateLimitConfig.slidingWindow(base).algorithm).toBe("sliding-window");
    expect(RateLimitConfig.adaptive(adaptive)).toMatchObject({
      algorithm: "adaptive",
      baseRequests: 100,
      minRequests: 10,
      cpuThreshold: 0.8,
      memoryThreshold: 0.9,
      latencyThreshold: 100,
    });
  });

  it("lowers the default floor to a ceiling that is lower", () => {
    expect(RateLimitConfig.adaptive({ baseRequests: 5, window: 60 }).minRequests).toBe(5);
  });

  it("is frozen, and takes undefined for not given", () => {
    const config = RateLimitConfig.tokenBucket({ ...base, name: undefined, cost: undefined, exclude: undefined });
    expect(config.name).toBe("default");
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("prints neither functions nor what is in the store", () => {
    const store = Object.assign(new MemoryRateLimitStore(), { url: "redis://:hunter2@host" });
    const config = RateLimitConfig.tokenBucket({ ...base, store, key: () => "hunter2", exclude: ["/health"] });
    for (const text of [inspect(config), JSON.stringify(config), inspect({ config }, { depth: 9 })]) {
      expect(text).not.toContain("hunter2");
      expect(text).toContain("MemoryRateLimitStore");
      expect(text).toContain("/health");
    }
  });

  it.each([
    ["tokenBucket", undefined, undefined],
    ["tokenBucket", null, undefined],
    ["tokenBucket", 100, undefined],
    ["tokenBucket", [], undefined],
    ["tokenBucket", {}, "requests"],
    ["tokenBucket", { requests: 1 }, "window"],
    ["tokenBucket", { window: 1 }, "requests"],
    ["tokenBucket", { ...base, requests: 0 }, "requests"],
    ["tokenBucket", { ...base, requests: -1 }, "requests"],
    ["tokenBucket", { ...base, requests: 1.5 }, "requests"],
    ["tokenBucket", { ...base, requests: "100" }, "requests"],
    ["tokenBucket", { ...base, requests: Number.NaN }, "requests"],
    ["tokenBucket", { ...base, requests: Number.POSITIVE_INFINITY }, "requests"],
    ["tokenBucket", { ...base, requests: 1e10 }, "requests"],
    ["tokenBucket", { ...base, window: 0 }, "window"],
    ["tokenBucket", { ...base, window: -60 }, "window"],
    ["tokenBucket", { ...base, window: "60" }, "window"],
    ["tokenBucket", { ...base, window: 3_000_000 }, "window"],
    ["tokenBucket", { ...base, limit: 5 }, "limit"],
    ["tokenBucket", { ...base, request: 5 }, "request"],
    ["tokenBucket", { ...base, baseRequests: 5 }, "baseRequests"],
    ["tokenBucket", { ...base, name: "" }, "name"],
    ["tokenBucket", { ...base, name: 1 }, "name"],
    ["tokenBucket", { ...base, name: "tägl" }, "name"],
    ["tokenBucket", { ...base, name: "a\r\nb" }, "name"],
    ["tokenBucket", { ...base, name: "x".repeat(129) }, "name"],
    ["tokenBucket", { ...base, key: "ip" }, "key"],
    ["tokenBucket", { ...base, keyBy: "user" }, "keyBy"],
    ["tokenBucket", { ...base, exclude: "/health" }, "exclude"],
    ["tokenBucket", { ...base, exclude: ["health"] }, "exclude"],
    ["tokenBucket", { ...base, exclude: ["/a*b"] }, "exclude"],
    ["tokenBucket", { ...base, cost: 0 }, "cost"],
    ["tokenBucket", { ...base, cost: 1.5 }, "cost"],
    ["tokenBucket", { ...base, cost: "1" }, "cost"],
    ["tokenBucket", { ...base, cost: 101 }, "cost"],
    ["tokenBucket", { ...base, store: {} }, "store"],
    ["tokenBucket", { ...base, store: "redis" }, "store"],
    ["tokenBucket", { ...base, store: null }, "store"],
    ["tokenBucket", { ...base, headers: true }, "headers"],
    ["tokenBucket", { ...base, headers: "draft-7" }, "headers"],
    ["tokenBucket", { ...base, dryRun: "yes" }, "dryRun"],
    ["tokenBucket", { ...base, onStoreError: "open" }, "onStoreError"],
    ["tokenBucket", { ...base, maxKeys: 0 }, "maxKeys"],
    ["tokenBucket", { ...base, maxKeys: 10.5 }, "maxKeys"],
    ["slidingWindow", { ...base, requests: null }, "requests"],
    ["slidingWindow", { ...base, minRequests: 1 }, "minRequests"],
    ["adaptive", { ...base }, "requests"],
    ["adaptive", { window: 60 }, "baseRequests"],
    ["adaptive", { ...adaptive, minRequests: 0 }, "minRequests"],
    ["adaptive", { ...adaptive, minRequests: 101 }, "minRequests"],
    ["adaptive", { ...adaptive, cpuThreshold: 80 }, "cpuThreshold"],
    ["adaptive", { ...adaptive, cpuThreshold: 0 }, "cpuThreshold"],
    ["adaptive", { ...adaptive, memoryThreshold: "90%" }, "memoryThreshold"],
    ["adaptive", { ...adaptive, latencyThreshold: -1 }, "latencyThreshold"],
    ["adaptive", { ...adaptive, latencyThreshold: Number.NaN }, "latencyThreshold"],
  ] as const)("%s refuses %j and names the field %s", (algorithm, options, field) => {
    let error: unknown;
    try {
      make(algorithm, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ subject: "RateLimitConfig", field });
    expect(String(error)).toMatch(/^ConfigError: RateLimitConfig.*: .+; .+$/);
  });
});
