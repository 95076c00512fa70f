import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { EventHub, type SecurityEvents } from "../core/events.js";
import { LoadMonitor, type LoadSnapshot } from "./load.js";
import { AdaptiveController } from "./rate-controller.js";

const bounds = { minRequests: 10, baseRequests: 100, cpuThreshold: 0.8, memoryThreshold: 0.9, latencyThresholdMs: 100 };
const calm = {
  cpu: 0.1,
  eventLoopUtilization: 0.1,
  eventLoopDelayMs: 1,
  memory: 0.2,
  latencyMs: 5,
  inFlight: 1,
  backlogMs: 0,
};

class LoadAsTold extends LoadMonitor {
  constructor(readonly tell: () => LoadSnapshot) {
    super();
  }

  override snapshot() {
    return this.tell();
  }
}

describe("AdaptiveController", () => {
  it("takes a step at most every 100 ms and tells of it at most once a second", () => {
    const clock = new TestClock(0);
    const events = new EventHub();
    const told: (SecurityEvents["ratelimit.adapted"] & { readonly atMs: number })[] = [];
    events.on("ratelimit.adapted", (event) => told.push({ ...event, atMs: clock.nowMs }));
    let load = { ...calm, cpu: 1 };
    let samples = 0;
    const source = new LoadAsTold(() => {
      samples++;
      return load;
    });
    const controller = new AdaptiveController("api", bounds, { clock, load: source, events });
    for (; clock.nowMs < 5000; clock.nowMs += 10) controller.refresh();
    expect(samples).toBe(49);
    load = calm;
    for (; clock.nowMs < 20_000; clock.nowMs += 10) controller.refresh();
    expect(controller).toMatchObject({ limit: 100, reason: "recovery" });
    expect(told[0]).toEqual({
      atMs: 100,
      name: "api",
      limit: expect.any(Number),
      previousLimit: 100,
      reason: "cpu",
      ...calm,
      cpu: 1,
      shedShare: 0,
    });
    expect(told.at(-1)).toMatchObject({ limit: 100, reason: "recovery" });
    for (const [index, event] of told.entries()) {
      expect(event.limit).not.toBe(event.previousLimit);
      const before = told[index - 1];
      if (before === undefined) continue;
      expect(event.previousLimit).toBe(before.limit);
      expect(event.atMs - before.atMs).toBeGreaterThanOrEqual(1000);
    }
  });

  it("goes down for what its gate has no place for", () => {
    const clock = new TestClock(0);
    const gate = { shedShare: () => 0.6 };
    const parts = { clock, load: new LoadAsTold(() => calm), events: new EventHub(), gate };
    const controller = new AdaptiveController("api", bounds, parts);
    for (; clock.nowMs < 3000; clock.nowMs += 100) controller.refresh();
    expect(controller.reason).toBe("shedding");
    expect(controller.limit).toBeLessThan(40);
  });
});
