import type { Clock } from "../src/core/clock.js";

/** A clock that stands until a test moves it. */
export class TestClock implements Clock {
  constructor(public nowMs = Date.UTC(2026, 0, 1, 12)) {}

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  /** Moves the clock on. */
  pass(seconds: number): void {
    this.nowMs += seconds * 1000;
  }
}
