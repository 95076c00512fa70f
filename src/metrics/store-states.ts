import type { Attributes, BatchObservableResult, Meter, ObservableGauge } from "@opentelemetry/api";
import type { EventHub, SecurityEvents } from "../core/events.js";

/** Whether each store answers, from the first time on that it did not. */
export class StoreStates {
  readonly instrument: ObservableGauge;
  readonly #isUp = new Map<string, boolean>();

  constructor(meter: Meter) {
    this.instrument = meter.createObservableGauge("cello.store.up", {
      unit: "1",
      description: "1: the store answers, 0: it does not; no value before its first failure",
    });
  }

  /**
   * Follows the stores from now on.
   *
   * @returns ends it
   */
  listen(events: EventHub): () => void {
    const failed = ({ store }: SecurityEvents["store.error"]) => void this.#isUp.set(store, false);
    const recovered = ({ store }: SecurityEvents["store.recovered"]) => void this.#isUp.set(store, true);
    events.on("store.error", failed);
    events.on("store.recovered", recovered);
    return () => {
      events.off("store.error", failed);
      events.off("store.recovered", recovered);
    };
  }

  /** Tells what is so now. */
  observe(result: BatchObservableResult, common: Attributes): void {
    for (const [store, isUp] of this.#isUp) {
      result.observe(this.instrument, isUp ? 1 : 0, { "cello.store": store, ...common });
    }
  }
}
