import type { Clock } from "../../src/core/clock.js";
import { EventHub } from "../../src/core/events.js";
import { AdaptiveBuckets } from "../../src/limits/memory/adaptive-bucket.js";
import type { RateLimitPolicy } from "../../src/limits/store.js";
import { ConcurrencyGate } from "../../src/overload/concurrency-gate.js";
import { LoadMonitor } from "../../src/overload/load.js";
import type { AdaptiveBounds } from "../../src/overload/rate-control-law.js";
import { AdaptiveController } from "../../src/overload/rate-controller.js";
import { EventLoopTurns } from "../../src/overload/turns.js";

/** What the simulated server does for a request. */
export type Work =
  /** Computes in the handler, or after one turn of the event loop. */
  | { readonly kind: "cpu"; readonly ms: number; readonly isDeferred?: boolean }
  /** Waits for one of so many workers, each of which takes between `fromMs` and `toMs`. */
  | { readonly kind: "dependency"; readonly workers: number; readonly fromMs: number; readonly toMs: number };

/** A part of a load profile. */
export interface Phase {
  readonly seconds: number;
  /** Requests per second of all clients together. */
  readonly rate: number;
  /** Replaces the work from here on. */
  readonly work?: Work;
}

export interface SimulationOptions {
  readonly work: Work;
  readonly phases: readonly Phase[];
  readonly clients?: number;
  /** Clients with numbers of their own rate, per second; the others share the phase's rate. */
  readonly greedy?: { readonly rate: number };
  readonly bounds: AdaptiveBounds;
  readonly windowMs: number;
  readonly maxConcurrency?: number | "auto";
  readonly refusingMs?: number;
  readonly seed?: number;
  /** What the monitor may read; a signal that is left out is missing. */
  readonly memory?: (atMs: number) => number;
  readonly blind?: { readonly cpu?: boolean; readonly loop?: boolean; readonly memory?: boolean };
}

/** A tenth of a second of the simulation. */
export interface Moment {
  readonly atS: number;
  readonly limit: number;
  readonly concurrency: number;
  offered: number;
  admitted: number;
  refused: number;
  shed: number;
  answered: number;
  greedyAdmitted: number;
  politeOffered: number;
  politeAdmitted: number;
  latencySumMs: number;
  latencies: number[];
}

interface Pending {
  readonly client: number;
  readonly dueMs: number;
}

/**
 * A server of one event loop in virtual time, in front of which the real controller, buckets, gate and
 * load monitor stand. Requests that come during a turn are handed over in the next, one after the
 * other; each costs what its work or its refusal costs; timers fire between turns.
 */
export class Simulation implements Clock {
  nowMs = 0;
  readonly moments: Moment[] = [];
  readonly #options: SimulationOptions;
  readonly #random: () => number;
  readonly #load: LoadMonitor;
  readonly #turns: EventLoopTurns;
  readonly #controller: AdaptiveController;
  readonly #buckets: AdaptiveBuckets;
  readonly #gate: ConcurrencyGate | undefined;
  readonly #queue: Pending[] = [];
  readonly #afterTurn: (() => void)[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #timers: { readonly atMs: number; readonly run: () => void }[] = [];
  #busyWorkers = 0;
  #idleMs = 0;
  #delayBusyMs = 0;
  #turnsSince = 0;
  #work: Work;
  #nextMs = 0;
  #nextGreedyMs = Number.POSITIVE_INFINITY;
  #phase = 0;
  #phaseEndMs = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#work = options.work;
    this.#random = randomFrom(options.seed ?? 1);
    const { bounds, blind } = options;
    this.#turns = new EventLoopTurns(
      () => this.#idleMs,
      (callback) => this.#afterTurn.push(callback),
    );
    this.#load = new LoadMonitor({
      clock: this,
      readings: {
        grantedCpus: 1,
        cpuMs: () => (blind?.cpu === true ? Number.NaN : this.nowMs - this.#idleMs),
        loopTime: () =>
          blind?.loop === true
            ? { active: Number.NaN, idle: Number.NaN }
            : { active: this.nowMs - this.#idleMs, idle: this.#idleMs },
        delays: { start: () => {}, stop: () => {}, take: () => this.#takeDelay() },
        memoryShare: () => (blind?.memory === true ? Number.NaN : (options.memory?.(this.nowMs) ?? 0.1)),
      },
      turns: this.#turns,
    });
    this.#gate =
      options.maxConcurrency === undefined
        ? undefined
        : new ConcurrencyGate(options.maxConcurrency, {
            clock: this,
            load: this.#load,
            longestBacklogMs: options.bounds.latencyThresholdMs * 0.4,
          });
    this.#controller = new AdaptiveController("simulated", bounds, {
      clock: this,
      load: this.#load,
      events: new EventHub(),
      gate: this.#gate,
    });
    const controller = this.#controller;
    const policy: RateLimitPolicy = {
      id: "simulated",
      name: "simulated",
      algorithm: "token-bucket",
      requests: bounds.baseRequests,
      windowMs: options.windowMs,
      maxKeys: 100_000,
      isAdaptive: true,
      get requestsInForce() {
        return controller.limit;
      },
    };
    this.#buckets = new AdaptiveBuckets(policy, this);
  }

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  run(): this {
    this.#enterPhase(0);
    if (this.#options.greedy !== undefined) this.#nextGreedyMs = this.#gapMs(this.#options.greedy.rate);
    while (this.#phase < this.#options.phases.length) this.#turn();
    return this;
  }

  /** A timer that is due at any time in a turn waits for half of it, on average. */
  #takeDelay(): number {
    const busyMs = this.nowMs - this.#idleMs - this.#delayBusyMs;
    const delayMs = this.#turnsSince === 0 ? Number.NaN : busyMs / this.#turnsSince / 2;
    this.#delayBusyMs = this.nowMs - this.#idleMs;
    this.#turnsSince = 0;
    return this.#options.blind?.loop === true ? Number.NaN : delayMs;
  }

  /** The moments from one second to another. */
  between(fromS: number, toS: number): readonly Moment[] {
    return this.moments.filter(({ atS }) => atS >= fromS && atS < toS);
  }

  #turn(): void {
    this.#moment();
    this.#arrivals();
    for (const timer of this.#takeTimers()) timer();
    const handedOver = this.#queue.splice(0);
    if (handedOver.length === 0 && this.#deferred.length === 0) this.#sleep();
    for (const pending of handedOver) {
      this.#receive(pending);
      this.#arrivals();
    }
    for (const callback of this.#afterTurn.splice(0)) callback();
    for (const run of this.#deferred.splice(0)) run();
    this.#turnsSince++;
  }

  #sleep(): void {
    const timerMs = this.#timers.reduce((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
    const untilMs = Math.max(this.nowMs, Math.min(this.#nextMs, this.#nextGreedyMs, timerMs, this.#phaseEndMs));
    this.#idleMs += untilMs - this.nowMs;
    this.nowMs = untilMs;
  }

  /** Everybody who was due until now stands in the queue. */
  #arrivals(): void {
    const { clients = 50, phases, greedy } = this.#options;
    for (;;) {
      const nextMs = Math.min(this.#nextMs, this.#nextGreedyMs, this.#phaseEndMs);
      if (nextMs > this.nowMs || this.#phase >= phases.length) return;
      if (nextMs === this.#phaseEndMs) {
        this.#enterPhase(this.#phase + 1);
      } else if (nextMs === this.#nextGreedyMs) {
        this.#queue.push({ client: -1, dueMs: nextMs });
        this.#nextGreedyMs += this.#gapMs(greedy?.rate ?? 0);
      } else {
        this.#queue.push({ client: Math.floor(this.#random() * clients), dueMs: nextMs });
        this.#nextMs += this.#gapMs(phases[this.#phase]?.rate ?? 0);
      }
    }
  }

  #enterPhase(index: number): void {
    const startMs = this.#phaseEndMs;
    this.#phase = index;
    const phase = this.#options.phases[index];
    if (phase === undefined) return;
    this.#phaseEndMs = startMs + phase.seconds * 1000;
    this.#work = phase.work ?? this.#work;
    this.#nextMs = startMs + this.#gapMs(phase.rate);
  }

  #gapMs(rate: number): number {
    return rate <= 0 ? Number.POSITIVE_INFINITY : (-Math.log(1 - this.#random()) * 1000) / rate;
  }

  #receive({ client, dueMs }: Pending): void {
    const moment = this.#moment();
    moment.offered++;
    if (client !== -1) moment.politeOffered++;
    const arrivedAtMs = this.#load.arrive();
    this.#controller.refresh();
    const key = `client ${client}`;
    const decision = this.#buckets.consume(key, 1);
    if (!decision.isAllowed) {
      if (decision.wasReduced) this.#controller.noteReduced();
      moment.refused++;
      this.#refuse();
      return;
    }
    const lack = this.#gate?.lacks(key, "normal", false);
    if (lack !== undefined) {
      this.#gate?.noteRefused(lack);
      this.#buckets.giveBack(key, 1);
      moment.shed++;
      this.#refuse();
      return;
    }
    const place = this.#gate?.enter(key);
    moment.admitted++;
    if (client === -1) moment.greedyAdmitted++;
    else moment.politeAdmitted++;
    this.#serve(() => {
      const latencyMs = this.nowMs - arrivedAtMs;
      this.#load.depart(latencyMs, this.nowMs);
      place?.leave(latencyMs);
      const at = this.#moment();
      at.answered++;
      at.latencySumMs += this.nowMs - dueMs;
      at.latencies.push(this.nowMs - dueMs);
    });
  }

  #refuse(): void {
    this.#turns.noteRefusal();
    this.nowMs += this.#options.refusingMs ?? 0.03;
    this.#load.depart(Number.NaN, this.nowMs);
  }

  #serve(answer: () => void): void {
    const work = this.#work;
    if (work.kind === "cpu") {
      const compute = () => {
        this.nowMs += work.ms;
        answer();
      };
      if (work.isDeferred === true) this.#deferred.push(compute);
      else compute();
      return;
    }
    this.nowMs += 0.1;
    const begin = () => {
      this.#busyWorkers++;
      const takesMs = work.fromMs + this.#random() * (work.toMs - work.fromMs);
      this.#timers.push({
        atMs: this.nowMs + takesMs,
        run: () => {
          this.#busyWorkers--;
          answer();
          this.#waiting.shift()?.();
        },
      });
    };
    if (this.#busyWorkers < work.workers) begin();
    else this.#waiting.push(begin);
  }

  #takeTimers(): readonly (() => void)[] {
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const timer of due) this.#timers.splice(this.#timers.indexOf(timer), 1);
    return due.map(({ run }) => run);
  }

  #moment(): Moment {
    const index = Math.floor(this.nowMs / 100);
    while (this.moments.length <= index) {
      this.moments.push({
        atS: this.moments.length / 10,
        limit: this.#controller.limit,
        concurrency: this.#gate?.limit ?? 0,
        offered: 0,
        admitted: 0,
        refused: 0,
        shed: 0,
        answered: 0,
        greedyAdmitted: 0,
        politeOffered: 0,
        politeAdmitted: 0,
        latencySumMs: 0,
        latencies: [],
      });
    }
    const moment = this.moments[index];
    if (moment === undefined) throw new RangeError("time went backwards");
    return moment;
  }
}

/** Totals of moments. */
export function total(
  moments: readonly Moment[],
  field:
    | "offered"
    | "admitted"
    | "refused"
    | "shed"
    | "answered"
    | "greedyAdmitted"
    | "politeOffered"
    | "politeAdmitted",
): number {
  return moments.reduce((sum, moment) => sum + moment[field], 0);
}

/** Peak to peak of the limit, as a share of its mean. */
export function swing(moments: readonly Moment[]): number {
  const limits = moments.map(({ limit }) => limit);
  const mean = limits.reduce((sum, limit) => sum + limit, 0) / limits.length;
  return (Math.max(...limits) - Math.min(...limits)) / mean;
}

/** A quantile of the latencies that were answered in these moments, in milliseconds. */
export function latency(moments: readonly Moment[], share: number): number {
  const sorted = moments.flatMap(({ latencies }) => latencies).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
