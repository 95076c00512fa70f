import type { RateLimitPolicy } from "../src/limits/store.js";

/** A policy of `requests` per `windowMs`. */
export function testPolicy(
  algorithm: RateLimitPolicy["algorithm"],
  requests: number,
  windowMs: number,
  more: Partial<RateLimitPolicy> = {},
): RateLimitPolicy {
  return {
    id: "test",
    name: "test",
    algorithm,
    requests,
    windowMs,
    maxKeys: 1_000_000,
    isAdaptive: false,
    requestsInForce: requests,
    ...more,
  };
}
