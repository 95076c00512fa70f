import { type Clock, systemClock } from "../core/clock.js";
import { RequestCosts } from "./event-loop.js";
import { LatencyHistogram } from "./latency.js";
import { processReadings, type Readings, shareMeter } from "./machine.js";
import { EventLoopTurns } from "./turns.js";

/** How loaded this process is. A signal that cannot be read is NaN. */
export interface LoadSnapshot {
  /** CPU use of this process, 0 to 1 of what machine or container grant it. */
  readonly cpu: number;
  /** Share of time in which the event loop did not sleep, 0 to 1: what is left of the one JavaScript thread. */
  readonly eventLoopUtilization: number;
  /** How late the event loop is, in milliseconds: what waits for it waits so long. */
  readonly eventLoopDelayMs: number;
  /** Memory in use, 0 to 1 of the nearest limit. */
  readonly memory: number;
  /**
   * 95th percentile of the last second's latencies, in milliseconds; 0 without requests. From the
   * request's arrival to the head of its answer, of requests that were not refused.
   */
  readonly latencyMs: number;
  /** Requests that have come and are not answered yet. */
  readonly inFlight: number;
  /**
   * Milliseconds that the event loop needs for the requests in flight, if they cost what those before
   * did: a queue that is not in any latency yet.
   */
  readonly backlogMs: number;
}

/** Where the figures come from: this process by default. */
interface LoadMonitorOptions {
  readonly clock?: Clock | undefined;
  readonly readings?: Readings | undefined;
  readonly turns?: EventLoopTurns | undefined;
}

/** A sample is younger than this, or a new one is taken. */
const SAMPLE_EVERY_MS = 100;
/** Weight of the newest sample of a rate: single samples of 100 ms are coarse. */
const NEWEST_WEIGHT = 0.4;

/**
 * Watches the load of this process. A sample is taken when one is asked for and the last is older than
 * 100 ms. Apart from the event loop's delay, which is watched from the first request on, nothing runs
 * by itself: a process that asks nobody pays nothing.
 */
export class LoadMonitor {
  readonly turns: EventLoopTurns;
  readonly #clock: Clock;
  readonly #readings: Readings;
  readonly #cpuShare: ReturnType<typeof shareMeter>;
  readonly #loopShare: ReturnType<typeof shareMeter>;
  readonly #latencies: LatencyHistogram;
  readonly #costs: RequestCosts;
  /** Requests that are not answered yet, at this moment. */
  inFlight = 0;
  /** Requests that wait for the rest of their bodies: whoever reads them has nothing to do meanwhile. */
  waiting = 0;
  #timersMs = 0;
  #isStarted = false;
  #sampledAtMs: number;
  #snapshot: LoadSnapshot;

  constructor(options: LoadMonitorOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    const nowMs = this.#clock.monotonicMs();
    this.#readings = options.readings ?? processReadings();
    const { cpuMs, grantedCpus, loopTime, memoryShare } = this.#readings;
    const { active, idle } = loopTime();
    this.turns = options.turns ?? new EventLoopTurns();
    this.#cpuShare = shareMeter(cpuMs(), nowMs * grantedCpus);
    this.#loopShare = shareMeter(active, active + idle);
    this.#latencies = new LatencyHistogram(nowMs);
    this.#costs = new RequestCosts(loopTime);
    this.#sampledAtMs = nowMs;
    const nothing = { cpu: 0, eventLoopUtilization: 0, eventLoopDelayMs: 0, latencyMs: 0, inFlight: 0, backlogMs: 0 };
    this.#snapshot = Object.freeze({ ...nothing, memory: memoryShare() });
  }

  /**
   * A request has come.
   *
   * @returns when, in milliseconds of the monotonic clock: before it was handed over, if it had to wait
   */
  arrive(): number {
    if (!this.#isStarted) this.#readings.delays.start();
    this.#isStarted = true;
    this.inFlight++;
    return this.turns.arrive(this.#clock.monotonicMs());
  }

  /**
   * A request is answered, or its client has gone.
   *
   * @param latencyMs counted when it is a number from 0; NaN for what says nothing of the load
   */
  depart(latencyMs: number, nowMs: number): void {
    this.inFlight--;
    if (latencyMs >= 0) this.#costs.answered++;
    this.#latencies.record(latencyMs, nowMs);
  }

  /** A request waits for its client, who has not sent all of its body: it is in flight no more. */
  suspend(): void {
    this.inFlight--;
    this.waiting++;
  }

  /**
   * What a request has waited for has come.
   *
   * @returns when, as {@link arrive} does
   */
  resume(): number {
    this.waiting--;
    return this.arrive();
  }

  departWaiting(): void {
    this.waiting--;
  }

  /** Ends the watch of the event loop; the next request begins it again. */
  stop(): void {
    if (this.#isStarted) this.#readings.delays.stop();
    this.#isStarted = false;
  }

  /** The 95th percentile as it was sampled last, in milliseconds. */
  get latencyMs(): number {
    return this.#snapshot.latencyMs;
  }

  /** What a request costs the event loop, on average of late, in milliseconds; 0 when none was answered yet. */
  get requestCostMs(): number {
    return this.#costs.meanMs;
  }

  /** The load now, at most 100 ms old. */
  snapshot(): LoadSnapshot {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#sampledAtMs;
    if (elapsedMs < SAMPLE_EVERY_MS) return this.#snapshot;
    // After a pause the sample spans the pause, and what was before says nothing any more.
    const weight = elapsedMs > 1000 ? 1 : NEWEST_WEIGHT;
    const last = this.#snapshot;
    const { cpuMs, grantedCpus, loopTime, memoryShare } = this.#readings;
    const { active, idle } = loopTime();
    this.#sampledAtMs = nowMs;
    this.#snapshot = Object.freeze({
      cpu: blend(last.cpu, this.#cpuShare(cpuMs(), nowMs * grantedCpus), weight),
      eventLoopUtilization: blend(
        last.eventLoopUtilization,
        Math.min(1, this.#loopShare(active, active + idle)),
        weight,
      ),
      eventLoopDelayMs: this.#delayMs(weight, nowMs),
      memory: memoryShare(),
      latencyMs: this.#latencies.quantile(0.95, nowMs),
      inFlight: this.inFlight,
      // Without the one that asks.
      backlogMs: Math.max(0, this.inFlight - 1) * this.#costs.sample(this.turns.refusedMs),
    });
    return this.#snapshot;
  }

  /** No timer fires during a long turn: its age is the delay then. */
  #delayMs(weight: number, nowMs: number): number {
    const takenMs = this.#readings.delays.take();
    if (!Number.isNaN(takenMs)) this.#timersMs = blend(this.#timersMs, takenMs, weight);
    return Math.max(this.#timersMs, this.turns.ageMs(nowMs));
  }
}

function blend(last: number, newest: number, weight: number): number {
  return last + (newest - last) * weight;
}
