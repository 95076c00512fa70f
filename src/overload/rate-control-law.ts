import type { LoadSnapshot } from "./load.js";

/*
 * The law of adaptive limits. With every signal s measured by its threshold (`shedding` by the places there
 * are), and p the highest of them, the limit L moves in a step of t seconds as
 *
 *     down   L <- L x exp(-gain x (p - 1) x t)       gain 1.6 a second; 0.8 for what tells of waiting
 *     up     L <- L x exp(rate x headroom x t)       from floor to ceiling in 5 seconds, or 0.8 a second
 *
 * and always between floor and ceiling. Both ways are shares of the limit: what a change does to the load is
 * a share too, wherever between floor and ceiling it is made.
 *
 * | state      | when                                       | the limit                                          |
 * | ---------- | ------------------------------------------ | -------------------------------------------------- |
 * | calm       | it is at its ceiling, or 0.93 <= p <= 1    | stays: between the two ways lies a gap, so that it settles and does not swing |
 * | meeting    | p > 1 for less than a second, by waiting   | falls a little: a few requests that met by chance look the same for that second |
 * | over       | p > 1                                      | falls; stays while the queue shrinks, because latency goes on telling of what is worked off |
 * | recovering | p < 0.93                                   | rises; with care from 0.8 of where the last overload was met, while requests are refused |
 */

/** Which signal moved the limit. */
export type AdaptationReason = "cpu" | "event-loop" | "memory" | "latency" | "shedding" | "recovery";

/** What the limit follows: the load, and what `maxConcurrency` had no place for. A missing signal is NaN. */
export interface AdaptiveSignals extends LoadSnapshot {
  /** Share of the last second's requests that the limits let through and that found no place, 0 to 1. */
  readonly shedShare: number;
  /** Whether requests were refused of late that the unreduced limit had let through. */
  readonly isRefusing: boolean;
}

export interface AdaptiveBounds {
  /** Floor and ceiling of the limit. */
  readonly minRequests: number;
  readonly baseRequests: number;
  /** Shares from 0 to 1. */
  readonly cpuThreshold: number;
  readonly memoryThreshold: number;
  readonly latencyThresholdMs: number;
}

/** The limit in force, what moved it last, and the pressure it was under. */
export interface AdaptiveState {
  /** No whole number, so that small steps add up. */
  readonly limit: number;
  readonly reason: AdaptationReason;
  /** Mean of late of the signal that tells of waiting, in multiples of its threshold. */
  readonly queueMean: number;
  /** Mean of late of the requests in flight. */
  readonly inFlightMean: number;
  /** The limit at which the last overload was met. */
  readonly metAt: number;
  /** Seconds since the last overload, and since this one began. */
  readonly calmS: number;
  readonly overS: number;
}

export function unreduced({ baseRequests }: AdaptiveBounds): AdaptiveState {
  return {
    limit: baseRequests,
    reason: "recovery",
    queueMean: 0,
    inFlightMean: 0,
    metAt: baseRequests,
    calmS: 0,
    overS: 0,
  };
}

/** A signal between this share of its threshold and the threshold itself moves nothing. */
const HOLD_FROM = 0.93;
/** At this share of the thresholds and below, the limit rises as fast as it may. */
const FREE_BELOW = 0.7;
/** Decrease per second, as the exponent for an overshoot of 100 %: of a share in use the limit falls to a fifth. */
const DECREASE_PER_S = 1.6;
/** What tells of waiting has no upper end and is of the past second: what it is over weighs less. */
const QUEUE_DECREASE_PER_S = 0.8;
/**
 * Some requests that meet by chance stay in the latency of the last second for that second. What lasts
 * longer is an overload, and so is what is four times its threshold.
 */
const CHANCE_S = 1;
const SURELY_OVER = 4;
/** A signal just over its threshold counts as 5 % over, or the limit would creep. */
const LEAST_OVERSHOOT = 0.05;
/** The fastest decrease: the limit falls to a 25th in a second. */
const MOST_DECREASE_PER_S = 3.2;
/** Seconds that the whole way from floor to ceiling takes when there is no load. */
const FULL_RECOVERY_S = 5;
const LEAST_INCREASE_PER_S = 0.8;
/** A decision says nothing about more time than this before it. */
const LONGEST_DECREASE_S = 1;
const LONGEST_INCREASE_S = 10;
/** A queue that is shorter than its mean of this many seconds is being worked off, and one that is longer grows. */
const QUEUE_MEAN_S = 0.3;
const SHRINKING = 0.95;
const GROWING = 1.25;
/** Of fewer requests in flight, more or less is chance. */
const FEW_IN_FLIGHT = 8;
/** From this share of the limit at which the last overload was met on, the way up is taken with care. */
const CARE_FROM = 0.8;
/** The increase is as small as this at first, and as fast as elsewhere after three seconds without overload. */
const CAREFUL_INCREASE_PER_S = 0.04;
const CARE_S = 3;
/** The limits may let through 1.3 times what there are places for; a share below `SHED_IGNORED` is chance. */
const SHED_TOLERANCE = 1.3;
const SHED_IGNORED = 0.02;

/**
 * The next limit.
 *
 * A signal that is no number counts as absent.
 *
 * @param elapsedMs since the last step
 */
export function nextLimit(
  bounds: AdaptiveBounds,
  state: AdaptiveState,
  signals: AdaptiveSignals,
  elapsedMs: number,
): AdaptiveState {
  const { reason, pressure, isQueue } = worstPressure(bounds, signals);
  const elapsedS = Math.max(0, elapsedMs) / 1000;
  const queueMean = meanOf(state.queueMean, isQueue ? pressure : 0, elapsedS);
  const inFlightMean = meanOf(state.inFlightMean, signals.inFlight, elapsedS);
  const calmS = state.calmS + elapsedS;
  const overS = pressure > 1 ? state.overS + elapsedS : 0;
  const held = { ...state, limit: within(bounds, state.limit), queueMean, inFlightMean, overS };
  if (pressure > 1) {
    // Latency tells of a queue that has grown over time, and goes on telling while it is worked off.
    const isShrinking = inFlightMean >= FEW_IN_FLIGHT && signals.inFlight < inFlightMean * SHRINKING;
    if (isQueue && (pressure < queueMean || isShrinking)) return { ...held, calmS: 0 };
    const gain = isQueue ? QUEUE_DECREASE_PER_S : DECREASE_PER_S;
    const weight = isQueue && pressure < SURELY_OVER ? Math.min(1, overS / CHANCE_S) ** 2 : 1;
    const decrease = Math.min(MOST_DECREASE_PER_S, weight * gain * Math.max(LEAST_OVERSHOOT, pressure - 1));
    const factor = Math.exp(-decrease * Math.min(elapsedS, LONGEST_DECREASE_S));
    const metAt = state.calmS > 0 ? state.limit : state.metAt;
    return { ...held, limit: within(bounds, state.limit * factor), reason, metAt, calmS: 0 };
  }
  const isGrowing = signals.inFlight > Math.max(FEW_IN_FLIGHT, inFlightMean * GROWING);
  if (pressure >= HOLD_FROM || isGrowing || state.limit >= bounds.baseRequests) return { ...held, calmS };
  const headroom = Math.min(1, (HOLD_FROM - pressure) / (HOLD_FROM - FREE_BELOW));
  const fastest = Math.max(LEAST_INCREASE_PER_S, Math.log(bounds.baseRequests / bounds.minRequests) / FULL_RECOVERY_S);
  // Without refusals the load has gone, and a higher limit lets nothing more through.
  const isCareful = signals.isRefusing && state.limit >= state.metAt * CARE_FROM;
  const careful = Math.max(CAREFUL_INCREASE_PER_S, fastest * Math.min(1, (calmS / CARE_S) ** 2));
  const factor = Math.exp((isCareful ? careful : fastest) * headroom * Math.min(elapsedS, LONGEST_INCREASE_S));
  return { ...held, limit: within(bounds, state.limit * factor), reason: "recovery", calmS };
}

function meanOf(mean: number, newest: number, elapsedS: number): number {
  if (!Number.isFinite(newest)) return mean;
  return mean + (newest - mean) * (1 - Math.exp(-elapsedS / QUEUE_MEAN_S));
}

interface Pressure {
  readonly reason: AdaptationReason;
  readonly pressure: number;
  /** Whether the signal tells of requests that wait or found no place, and not of something in use. */
  readonly isQueue: boolean;
}

/** The signal that is highest measured by its threshold. */
function worstPressure(bounds: AdaptiveBounds, signals: AdaptiveSignals): Pressure {
  const { cpuThreshold, memoryThreshold, latencyThresholdMs } = bounds;
  const all: readonly Pressure[] = [
    // A share of what is granted; measured over a short time it can come out as more than all.
    inUse("cpu", Math.min(1, signals.cpu), cpuThreshold),
    // One JavaScript thread that never sleeps is full, however many CPUs stand idle beside it.
    inUse("event-loop", signals.eventLoopUtilization, cpuThreshold),
    inUse("memory", signals.memory, memoryThreshold),
    waiting("latency", signals.latencyMs, latencyThresholdMs),
    waiting("latency", signals.backlogMs, latencyThresholdMs),
    waiting("event-loop", signals.eventLoopDelayMs, latencyThresholdMs),
    shedding(signals.shedShare),
  ];
  return all.reduce((worst, other) => (other.pressure > worst.pressure ? other : worst));
}

/** More than all cannot be in use: with a threshold of 1 the signal is switched off. */
function inUse(reason: AdaptationReason, value: number, threshold: number): Pressure {
  if (threshold >= 1) return { reason, pressure: 0, isQueue: false };
  return { reason, pressure: measured(value, threshold), isQueue: false };
}

function waiting(reason: AdaptationReason, value: number, threshold: number): Pressure {
  return { reason, pressure: measured(value, threshold), isQueue: true };
}

/** What the limits let through, measured by what there were places for. */
function shedding(share: number): Pressure {
  const pressure = share > SHED_IGNORED ? 1 / Math.max(0.001, 1 - share) / SHED_TOLERANCE : 0;
  return { reason: "shedding", pressure, isQueue: true };
}

function measured(value: number, threshold: number): number {
  const share = value / threshold;
  return Number.isNaN(share) ? 0 : Math.max(0, share);
}

function within(bounds: AdaptiveBounds, limit: number): number {
  return Math.min(bounds.baseRequests, Math.max(bounds.minRequests, limit));
}
