import type { Attributes, BatchObservableResult, Meter, ObservableGauge } from "@opentelemetry/api";
import type { AdaptiveLimitState, RateLimits } from "../limits/limits.js";

/** What a gauge shows of the whole process. */
interface LoadGauge {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  /** Whether only requests under an adaptive limit are looked at: without one there is nothing to tell. */
  readonly needsAdaptive: boolean;
  readonly read: (load: RateLimits["load"]) => number;
}

const LOAD_GAUGES: readonly LoadGauge[] = [
  gauge("cello.load.cpu", "1", "CPU use, 0 to 1 of what is granted", false, (load) => load.cpu),
  gauge("cello.load.memory", "1", "Memory in use, 0 to 1 of the nearest limit", false, (load) => load.memory),
  gauge(
    "cello.load.event_loop.utilization",
    "1",
    "Share of time in which the event loop did not sleep",
    false,
    (load) => {
      return load.eventLoopUtilization;
    },
  ),
  gauge("cello.load.event_loop.delay", "s", "How late the event loop is", true, (load) => load.eventLoopDelayMs / 1000),
  gauge("cello.load.latency", "s", "95th percentile of the last second's latencies", true, (load) => {
    return load.latencyMs / 1000;
  }),
  gauge("cello.load.backlog", "s", "What the event loop needs for the requests in flight", true, (load) => {
    return load.backlogMs / 1000;
  }),
  gauge("cello.load.in_flight", "{request}", "Requests that are not answered yet", true, (load) => load.inFlight),
];

function gauge(
  name: string,
  unit: string,
  description: string,
  needsAdaptive: boolean,
  read: (load: RateLimits["load"]) => number,
): LoadGauge {
  return { name, unit, description, needsAdaptive, read };
}

/** The gauges of load and adaptive limits. They are read when metrics are collected, and cost nothing before. */
export class LoadGauges {
  readonly #load: readonly (readonly [LoadGauge, ObservableGauge])[];
  readonly #limit: ObservableGauge;
  readonly #base: ObservableGauge;
  readonly #concurrency: ObservableGauge;

  constructor(meter: Meter) {
    this.#load = LOAD_GAUGES.map((each) => [each, meter.createObservableGauge(each.name, each)]);
    this.#limit = meter.createObservableGauge("cello.rate_limit.limit", {
      unit: "{request}",
      description: "Units per window that an adaptive limit grants now",
    });
    this.#base = meter.createObservableGauge("cello.rate_limit.base", {
      unit: "{request}",
      description: "Units per window that an adaptive limit grants without load",
    });
    this.#concurrency = meter.createObservableGauge("cello.rate_limit.concurrency", {
      unit: "{request}",
      description: "Requests in progress, and how many are let in",
    });
  }

  /** All of them, for a batch callback. */
  get instruments(): readonly ObservableGauge[] {
    return [...this.#load.map(([, instrument]) => instrument), this.#limit, this.#base, this.#concurrency];
  }

  /** Tells what is so now; a signal that cannot be measured here is left out. */
  observe(result: BatchObservableResult, rateLimits: RateLimits, common: Attributes): void {
    const load = rateLimits.load;
    for (const [{ needsAdaptive, read }, instrument] of this.#load) {
      const value = read(load);
      if (Number.isFinite(value) && (!needsAdaptive || rateLimits.isAdaptive))
        result.observe(instrument, value, common);
    }
    for (const { name, limit, baseLimit, concurrency } of furthestDown(load.limits)) {
      const attributes = { "cello.limit": name, ...common };
      result.observe(this.#limit, limit, attributes);
      result.observe(this.#base, baseLimit, attributes);
      if (concurrency === undefined) continue;
      result.observe(this.#concurrency, concurrency.limit, { "cello.state": "allowed", ...attributes });
      result.observe(this.#concurrency, concurrency.inProgress, { "cello.state": "used", ...attributes });
    }
  }
}

/** One limit of each name: routes may have limits of the same name, and of those the most reduced is shown. */
function furthestDown(limits: readonly AdaptiveLimitState[]): Iterable<AdaptiveLimitState> {
  const byName = new Map<string, AdaptiveLimitState>();
  for (const state of limits) {
    const shown = byName.get(state.name);
    if (shown === undefined || state.limit / state.baseLimit < shown.limit / shown.baseLimit) {
      byName.set(state.name, state);
    }
  }
  return byName.values();
}
