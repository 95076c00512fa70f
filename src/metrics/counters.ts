import type { Attributes, BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import type { EventHub, SecurityEventListener, SecurityEventName } from "../core/events.js";

/** Instruments that are read together. */
export interface Instruments {
  readonly all: readonly Observable[];
  readonly observe: (result: BatchObservableResult) => void;
  readonly stop: () => void;
}

/** Begins to count an event. */
type Counter = (meter: Meter, events: EventHub, common: Attributes) => RunningCounter;

interface RunningCounter {
  readonly instrument: Observable;
  readonly tally: Tally;
  readonly stop: () => void;
}

/**
 * What every counter counts. Attributes come from the code or from the configuration, never from a
 * client: each series is kept for the life of the process.
 */
const COUNTERS: readonly Counter[] = [
  counter("token.rejected", "cello.token.rejected", "{request}", "Requests whose token was refused", (event) => ({
    "cello.reason": event.reason,
  })),
  counter("ratelimit.exceeded", "cello.rate_limit.refused", "{request}", "Requests over a limit", (event) => ({
    "cello.limit": event.name,
    "cello.dry_run": event.dryRun,
  })),
  counter("ratelimit.shed", "cello.rate_limit.shed", "{request}", "Requests that found no place", (event) => ({
    "cello.limit": event.name,
    "cello.priority": event.priority,
    "cello.dry_run": event.dryRun,
  })),
  counter("session.created", "cello.session.created", "{session}", "Sessions begun"),
  counter("session.regenerated", "cello.session.regenerated", "{session}", "Sessions that got a new id"),
  counter("session.destroyed", "cello.session.destroyed", "{session}", "Sessions ended by the application"),
  counter("session.rejected", "cello.session.rejected", "{request}", "Session cookies not accepted", (event) => ({
    "cello.reason": event.reason,
  })),
  counter("csrf.rejected", "cello.csrf.rejected", "{request}", "Cross-site requests refused"),
  counter("store.error", "cello.store.errors", "{failure}", "Times that a store stopped to answer", (event) => ({
    "cello.store": event.store,
  })),
  counter("config.warning", "cello.config.warnings", "{warning}", "Doubts about the configuration", (event) => ({
    "cello.code": event.code,
  })),
];

const NO_ATTRIBUTES: Attributes = Object.freeze({});

/** @param unit in UCUM, where braces hold what is counted */
function counter<Name extends SecurityEventName>(
  event: Name,
  name: string,
  unit: string,
  description: string,
  attributesOf: (event: Parameters<SecurityEventListener<Name>>[0]) => Attributes = () => NO_ATTRIBUTES,
): Counter {
  return (meter, events, common) => {
    const tally = new Tally(common);
    const count: SecurityEventListener<Name> = (happened) => tally.add(attributesOf(happened));
    events.on(event, count);
    const instrument = meter.createObservableCounter(name, { description, unit });
    return { instrument, tally, stop: () => events.off(event, count) };
  };
}

/** @param common attributes that every count has */
export function countEvents(meter: Meter, events: EventHub, common: Attributes): Instruments {
  const running = COUNTERS.map((begin) => begin(meter, events, common));
  return {
    all: running.map(({ instrument }) => instrument),
    observe: (result) => {
      for (const { instrument, tally } of running) {
        for (const { attributes, count } of tally.values()) result.observe(instrument, count, attributes);
      }
    },
    stop: () => {
      for (const { stop } of running) stop();
    },
  };
}

/**
 * Counts by attributes, to be read when metrics are collected. Counting here is many times cheaper than
 * a counter of the SDK, which sorts and serialises the attributes of every single count: a flood of
 * refusals must not become dearer by being measured.
 */
class Tally {
  readonly #entries = new Map<string, { readonly attributes: Attributes; count: number }>();
  readonly #common: Attributes;

  /** @param common attributes that every count has */
  constructor(common: Attributes) {
    this.#common = common;
  }

  /** Counts one. The attributes of all calls have the same names in the same order. */
  add(attributes: Attributes): void {
    let key = "";
    for (const name in attributes) key += `${attributes[name]}\n`;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.count++;
    else this.#entries.set(key, { attributes: { ...attributes, ...this.#common }, count: 1 });
  }

  /** Each combination of attributes that was counted, with its count since the beginning. */
  values(): Iterable<{ readonly attributes: Attributes; readonly count: number }> {
    return this.#entries.values();
  }
}
