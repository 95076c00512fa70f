import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { LatencyHistogram } from "./latency.js";
import { LoadMonitor } from "./load.js";
import { memoryLimits, memoryShare, processMemory, shareMeter } from "./machine.js";
import { EventLoopTurns } from "./turns.js";

describe("shareMeter", () => {
  it("gives what was used as a share of what is granted", () => {
    const meter = shareMeter(100, 0);
    expect(meter(125, 50)).toBeCloseTo(0.5);
    expect(meter(125, 50)).toBeCloseTo(0.5);
    expect(meter(125, 100)).toBe(0);
  });

  it("says the same again when no time has passed, and never less than nothing", () => {
    const meter = shareMeter(0, 0);
    expect(meter(0, 0)).toBe(0);
    expect(meter(30, 40)).toBe(0.75);
    expect(meter(30, 40)).toBe(0.75);
    expect(meter(20, 60)).toBe(0);
  });

  it("gives NaN where the runtime tells nothing", () => {
    expect(shareMeter(Number.NaN, Number.NaN)(Number.NaN, Number.NaN)).toBeNaN();
  });
});

describe("memoryShare", () => {
  it("is the share of the nearest limit", () => {
    const limits = { residentBytes: 1000, heapBytes: 400 };
    expect(memoryShare({ residentBytes: 500, heapBytes: 100 }, limits)).toBe(0.5);
    expect(memoryShare({ residentBytes: 500, heapBytes: 300 }, limits)).toBe(0.75);
  });

  it("takes the group's limit or the machine's memory", () => {
    const cgroup = { cpuQuota: undefined, cpusetSize: undefined, memoryLimit: 100 };
    expect(memoryLimits(cgroup, 200, 50)).toEqual({ residentBytes: 100, heapBytes: 50 });
    expect(memoryLimits({ ...cgroup, memoryLimit: undefined }, 200, 50).residentBytes).toBe(200);
    expect(processMemory().residentBytes).toBeGreaterThan(1_000_000);
  });
});

describe("LatencyHistogram", () => {
  it("is within 4 % of the true quantile", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 90_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.95, 0.99),
        (latencies, share) => {
          const histogram = new LatencyHistogram(0);
          for (const latency of latencies) histogram.record(latency, 5);
          const sorted = latencies.toSorted((a, b) => a - b);
          const truth = sorted[Math.max(1, Math.ceil(sorted.length * share)) - 1] ?? 0;
          return Math.abs(histogram.quantile(share, 5) - truth) <= truth * 0.0401;
        },
      ),
      runs(300),
    );
  });

  it("forgets what is older than its span, however long the pause", () => {
    const histogram = new LatencyHistogram(0);
    histogram.record(50, 0);
    expect(histogram.quantile(0.95, 899)).toBeGreaterThan(40);
    expect(histogram.quantile(0.95, 1000)).toBe(0);
    histogram.record(50, 1_000_000_000);
    expect(histogram.quantile(0.95, 1_000_000_000)).toBeGreaterThan(40);
    expect(histogram.quantile(0.95, 5)).toBeGreaterThan(40);
  });

  it("leaves out what is no latency", () => {
    const histogram = new LatencyHistogram(0);
    histogram.record(Number.NaN, 0);
    histogram.record(-1, 0);
    expect(histogram.quantile(0.95, 0)).toBe(0);
    histogram.record(Number.POSITIVE_INFINITY, 0);
    expect(histogram.quantile(0.95, 0)).toBeGreaterThan(90_000);
  });
});

describe("LoadMonitor", () => {
  it("samples at most every 100 ms and evens out the CPU", () => {
    let nowMs = 0;
    let cpuMs = 0;
    let activeMs = 0;
    let started = 0;
    let reads = 0;
    const monitor = new LoadMonitor({
      clock: { wallMs: () => 0, monotonicMs: () => nowMs },
      readings: {
        grantedCpus: 1,
        cpuMs: () => cpuMs,
        memoryShare: () => {
          reads++;
          return 0.5;
        },
        loopTime: () => ({ active: activeMs, idle: nowMs - activeMs }),
        delays: { start: () => started++, stop: () => started--, take: () => 4 },
      },
      turns: new EventLoopTurns(
        () => 0,
        (callback) => callback(),
      ),
    });
    expect(monitor.arrive()).toBe(0);
    monitor.depart(20, 0);
    monitor.arrive();
    nowMs = 99;
    expect(monitor.snapshot()).toEqual({
      cpu: 0,
      eventLoopUtilization: 0,
      eventLoopDelayMs: 0,
      memory: 0.5,
      latencyMs: 0,
      inFlight: 0,
      backlogMs: 0,
    });
    expect(reads).toBe(1);
    nowMs = 100;
    cpuMs = 100;
    activeMs = 50;
    const first = monitor.snapshot();
    expect(first).toMatchObject({ inFlight: 1, backlogMs: 0 });
    expect(first.eventLoopUtilization).toBeCloseTo(0.2);
    expect(first.eventLoopDelayMs).toBeCloseTo(1.6);
    expect(first.cpu).toBeCloseTo(0.4);
    expect(first.latencyMs).toBeGreaterThan(19);
    expect(monitor.snapshot()).toBe(first);
    nowMs = 5000;
    expect(monitor.snapshot()).toMatchObject({ cpu: 0, latencyMs: 0 });
    expect(started).toBe(1);
    monitor.stop();
    monitor.stop();
    expect(started).toBe(0);
  });

  it("reads this process without being told how", () => {
    const monitor = new LoadMonitor();
    expect(monitor.snapshot().memory).toBeGreaterThan(0);
  });
});
