import type { Clock } from "../clock.js";
import type { EventHub } from "../events.js";
import type { LoadSnapshot, LoadSource } from "../load/snapshot.js";

/** Which signal moved the limit. */
export type AdaptationReason = "cpu" | "memory" | "latency" | "recovery";

/** What the controller keeps to. */
export interface AdaptiveBounds {
  /** Floor and ceiling of the limit. */
  readonly minRequests: number;
  readonly baseRequests: number;
  /** Shares from 0 to 1. */
  readonly cpuThreshold: number;
  readonly memoryThreshold: number;
  readonly latencyThresholdMs: number;
}

/** The limit in force and what moved it last; no whole number, so that small steps add up. */
export interface AdaptiveState {
  readonly limit: number;
  readonly reason: AdaptationReason;
}

/** A signal between this share of its threshold and the threshold itself moves nothing. */
const HOLD_FROM = 0.85;
/** Decrease per second, as the exponent for an overshoot of 100 %: the limit falls to a fifth. */
const DECREASE_PER_S = 1.6;
/** A signal just over its threshold counts as so much over, or the limit would creep. */
const LEAST_OVERSHOOT = 0.05;
const MOST_OVERSHOOT = 2;
/** Share of the range between floor and ceiling that is won back in a second without load. */
const INCREASE_PER_S = 0.2;
/** A decision says nothing about more time than this before it. */
const LONGEST_DECREASE_S = 1;
const LONGEST_INCREASE_S = 10;

/**
 * The next limit: down in proportion to the worst overshoot, up evenly when every signal is well
 * below its threshold, and unmoved between, so that it settles instead of swinging.
 *
 * A signal that is no number counts as absent.
 *
 * @param elapsedMs since the last step
 */
export function nextLimit(
  bounds: AdaptiveBounds,
  state: AdaptiveState,
  load: LoadSnapshot,
  elapsedMs: number,
): AdaptiveState {
  const { reason, pressure } = worstPressure(bounds, load);
  const elapsedS = Math.max(0, elapsedMs) / 1000;
  if (pressure > 1) {
    const overshoot = Math.min(MOST_OVERSHOOT, Math.max(LEAST_OVERSHOOT, pressure - 1));
    const factor = Math.exp(-DECREASE_PER_S * overshoot * Math.min(elapsedS, LONGEST_DECREASE_S));
    return { limit: within(bounds, state.limit * factor), reason };
  }
  if (pressure >= HOLD_FROM || state.limit >= bounds.baseRequests)
    return { ...state, limit: within(bounds, state.limit) };
  // Slower the nearer to the threshold, since what the last step did is not to be seen at once.
  const headroom = Math.min(1, (HOLD_FROM - pressure) * 2.5);
  const range = bounds.baseRequests - bounds.minRequests;
  const step = range * INCREASE_PER_S * headroom * Math.min(elapsedS, LONGEST_INCREASE_S);
  return { limit: within(bounds, state.limit + step), reason: "recovery" };
}

/** The signal that is highest measured by its threshold. */
function worstPressure(bounds: AdaptiveBounds, load: LoadSnapshot): { reason: AdaptationReason; pressure: number } {
  let reason: AdaptationReason = "cpu";
  let pressure = measured(load.cpu, bounds.cpuThreshold);
  const memory = measured(load.memory, bounds.memoryThreshold);
  if (memory > pressure) {
    pressure = memory;
    reason = "memory";
  }
  const latency = measured(load.latencyMs, bounds.latencyThresholdMs);
  if (latency > pressure) {
    pressure = latency;
    reason = "latency";
  }
  return { reason, pressure };
}

function measured(value: number, threshold: number): number {
  const share = value / threshold;
  return Number.isNaN(share) ? 0 : Math.max(0, share);
}

function within(bounds: AdaptiveBounds, limit: number): number {
  return Math.min(bounds.baseRequests, Math.max(bounds.minRequests, limit));
}

/** A step is taken at most this often. */
const STEP_EVERY_MS = 200;
const EVENT_EVERY_MS = 1000;

/**
 * Holds the limit in force of one adaptive configuration. It has no timer: whoever needs the limit
 * calls `refresh` first, and that takes a step when the last is old enough.
 */
export class AdaptiveController {
  readonly #bounds: AdaptiveBounds;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #load: LoadSource;
  readonly #events: EventHub;
  #state: AdaptiveState;
  #steppedAtMs: number;
  #announcedAtMs = Number.NEGATIVE_INFINITY;
  #announcedLimit: number;

  constructor(
    name: string,
    bounds: AdaptiveBounds,
    parts: { readonly clock: Clock; readonly load: LoadSource; readonly events: EventHub },
  ) {
    this.#name = name;
    this.#bounds = bounds;
    this.#clock = parts.clock;
    this.#load = parts.load;
    this.#events = parts.events;
    this.#state = { limit: bounds.baseRequests, reason: "recovery" };
    this.#announcedLimit = bounds.baseRequests;
    this.#steppedAtMs = this.#clock.monotonicMs();
  }

  /** The limit in force. */
  get limit(): number {
    return this.#state.limit;
  }

  /** What moved the limit last. */
  get reason(): AdaptationReason {
    return this.#state.reason;
  }

  /** Takes a step if one is due. */
  refresh(): void {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#steppedAtMs;
    if (elapsedMs < STEP_EVERY_MS) return;
    this.#steppedAtMs = nowMs;
    const load = this.#load.snapshot();
    this.#state = nextLimit(this.#bounds, this.#state, load, elapsedMs);
    this.#announce(load, nowMs);
  }

  #announce(load: LoadSnapshot, nowMs: number): void {
    const limit = Math.floor(this.#state.limit);
    if (limit === this.#announcedLimit || nowMs - this.#announcedAtMs < EVENT_EVERY_MS) return;
    const previousLimit = this.#announcedLimit;
    this.#announcedLimit = limit;
    this.#announcedAtMs = nowMs;
    this.#events.emit("ratelimit.adapted", {
      name: this.#name,
      limit,
      previousLimit,
      reason: limit > previousLimit ? "recovery" : this.#state.reason,
      cpu: load.cpu,
      memory: load.memory,
      latencyMs: load.latencyMs,
    });
  }
}
