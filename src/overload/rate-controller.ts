import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { LoadMonitor } from "./load.js";
import {
  type AdaptationReason,
  type AdaptiveBounds,
  type AdaptiveSignals,
  type AdaptiveState,
  nextLimit,
  unreduced,
} from "./rate-control-law.js";

/** A step is taken at most this often. */
const STEP_EVERY_MS = 100;
const EVENT_EVERY_MS = 1000;
/** A refusal says for so long that more is wanted than granted. */
const REFUSING_MS = 1000;

export interface AdaptiveParts {
  readonly clock: Clock;
  readonly load: LoadMonitor;
  readonly events: EventHub;
  /** Tells what found no place; `undefined` without `maxConcurrency`. */
  readonly gate?: { shedShare(nowMs: number): number } | undefined;
}

/**
 * Holds the limit in force of one adaptive configuration. It has no timer: whoever needs the limit
 * calls `refresh` first, and that takes a step when the last is old enough. So it acts in the midst of
 * a long turn of the event loop too, when no timer fires and each request of a flood asks.
 */
export class AdaptiveController {
  readonly #bounds: AdaptiveBounds;
  readonly #name: string;
  readonly #parts: AdaptiveParts;
  #state: AdaptiveState;
  #steppedAtMs: number;
  #announcedAtMs = Number.NEGATIVE_INFINITY;
  #announcedLimit: number;
  #refusedAtMs = Number.NEGATIVE_INFINITY;

  constructor(name: string, bounds: AdaptiveBounds, parts: AdaptiveParts) {
    this.#name = name;
    this.#bounds = bounds;
    this.#parts = parts;
    this.#state = unreduced(bounds);
    this.#announcedLimit = bounds.baseRequests;
    this.#steppedAtMs = parts.clock.monotonicMs();
  }

  get limit(): number {
    return this.#state.limit;
  }

  get reason(): AdaptationReason {
    return this.#state.reason;
  }

  /** Takes a step if one is due. A time before the last step is no error: none is due then. */
  refresh(nowMs = this.#parts.clock.monotonicMs()): void {
    const { load, gate } = this.#parts;
    const elapsedMs = nowMs - this.#steppedAtMs;
    if (elapsedMs < STEP_EVERY_MS) return;
    this.#steppedAtMs = nowMs;
    const isRefusing = nowMs - this.#refusedAtMs < REFUSING_MS;
    const signals = { ...load.snapshot(), shedShare: gate?.shedShare(nowMs) ?? 0, isRefusing };
    this.#state = nextLimit(this.#bounds, this.#state, signals, elapsedMs);
    this.#announce(signals, nowMs);
  }

  /** A request was refused that the unreduced limit had let through. */
  noteReduced(): void {
    // The step before it is near enough: the clock need not be read for each refusal of a flood.
    this.#refusedAtMs = this.#steppedAtMs;
  }

  #announce({ isRefusing: _, ...signals }: AdaptiveSignals, nowMs: number): void {
    const limit = Math.floor(this.#state.limit);
    if (limit === this.#announcedLimit || nowMs - this.#announcedAtMs < EVENT_EVERY_MS) return;
    const previousLimit = this.#announcedLimit;
    this.#announcedLimit = limit;
    this.#announcedAtMs = nowMs;
    const reason = limit > previousLimit ? "recovery" : this.#state.reason;
    this.#parts.events.emit("ratelimit.adapted", { name: this.#name, limit, previousLimit, reason, ...signals });
  }
}
