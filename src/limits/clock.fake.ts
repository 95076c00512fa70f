import type { Clock } from "../core/clock.js";
import type { RateLimitPolicy } from "./store.js";

/** A clock that a test sets. */
export class TestClock implements Clock {
  nowMs: number;

  constructor(nowMs = 0) {
    this.nowMs = nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }
}

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
