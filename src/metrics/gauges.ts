import type { Attributes, Meter } from "@opentelemetry/api";
import type { EventHub, SecurityEvents } from "../core/events.js";
import type { AdaptiveLimitState, RateLimits } from "../limits/limits.js";
import type { Instruments } from "./counters.js";

type Load = RateLimits["load"];

/**
 * A gauge of the whole process. Those that need an adaptive limit are measured on requests under one: without it
 * there is nothing to tell.
 */
type LoadGauge = readonly [
  name: string,
  unit: string,
  description: string,
  needsAdaptive: boolean,
  read: (load: Load) => number,
];

const UTILIZATION = "Share of time in which the event loop did not sleep";
const LATENCY = "95th percentile of the last second's latencies";
const BACKLOG = "What the event loop needs for the requests in flight";

const LOAD_GAUGES: readonly LoadGauge[] = [
  ["cello.load.cpu", "1", "CPU use, 0 to 1 of what is granted", false, (load) => load.cpu],
  ["cello.load.memory", "1", "Memory in use, 0 to 1 of the nearest limit", false, (load) => load.memory],
  ["cello.load.event_loop.utilization", "1", UTILIZATION, false, (load) => load.eventLoopUtilization],
  ["cello.load.event_loop.delay", "s", "How late the event loop is", true, (load) => load.eventLoopDelayMs / 1000],
  ["cello.load.latency", "s", LATENCY, true, (load) => load.latencyMs / 1000],
  ["cello.load.backlog", "s", BACKLOG, true, (load) => load.backlogMs / 1000],
  ["cello.load.in_flight", "{request}", "Requests that are not answered yet", true, (load) => load.inFlight],
];

/**
 * The gauges of load and adaptive limits. They are read when metrics are collected, and cost nothing before.
 * A signal that cannot be measured here is left out.
 */
export function watchLoad(meter: Meter, rateLimits: RateLimits, common: Attributes): Instruments {
  const signals = LOAD_GAUGES.map(([name, unit, description, needsAdaptive, read]) => {
    return { needsAdaptive, read, instrument: meter.createObservableGauge(name, { unit, description }) };
  });
  const limits = meter.createObservableGauge("cello.rate_limit.limit", {
    unit: "{request}",
    description: "Units per window that an adaptive limit grants now",
  });
  const bases = meter.createObservableGauge("cello.rate_limit.base", {
    unit: "{request}",
    description: "Units per window that an adaptive limit grants without load",
  });
  const concurrencies = meter.createObservableGauge("cello.rate_limit.concurrency", {
    unit: "{request}",
    description: "Requests in progress, and how many are let in",
  });
  return {
    all: [...signals.map(({ instrument }) => instrument), limits, bases, concurrencies],
    observe: (result) => {
      const load = rateLimits.load;
      for (const { needsAdaptive, read, instrument } of signals) {
        const value = read(load);
        if (!Number.isFinite(value) || (needsAdaptive && !rateLimits.isAdaptive)) continue;
        result.observe(instrument, value, common);
      }
      for (const { name, limit, baseLimit, concurrency } of furthestDown(load.limits)) {
        const attributes = { "cello.limit": name, ...common };
        result.observe(limits, limit, attributes);
        result.observe(bases, baseLimit, attributes);
        if (concurrency === undefined) continue;
        result.observe(concurrencies, concurrency.limit, { "cello.state": "allowed", ...attributes });
        result.observe(concurrencies, concurrency.inProgress, { "cello.state": "used", ...attributes });
      }
    },
    stop: () => undefined,
  };
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

/** Whether each store answers, from the first time on that it did not. */
export function watchStores(meter: Meter, events: EventHub, common: Attributes): Instruments {
  const isUp = new Map<string, boolean>();
  const instrument = meter.createObservableGauge("cello.store.up", {
    unit: "1",
    description: "1: the store answers, 0: it does not; no value before its first failure",
  });
  const failed = ({ store }: SecurityEvents["store.error"]) => void isUp.set(store, false);
  const recovered = ({ store }: SecurityEvents["store.recovered"]) => void isUp.set(store, true);
  events.on("store.error", failed);
  events.on("store.recovered", recovered);
  return {
    all: [instrument],
    observe: (result) => {
      for (const [store, up] of isUp) result.observe(instrument, up ? 1 : 0, { "cello.store": store, ...common });
    },
    stop: () => {
      events.off("store.error", failed);
      events.off("store.recovered", recovered);
    },
  };
}
