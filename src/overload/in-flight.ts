import type { Clock } from "../core/clock.js";
import type { LoadMonitor } from "./load.js";
import type { Place } from "./places.js";

/** What tells a request that its client has gone. */
export interface ClientWatch {
  /** The request has left, and need not be told any more. */
  forget(request: InFlight): void;
}

/**
 * One request as the load sees it: its arrival, its places at gates, and its departure. Requests have one only
 * where a limit adapts to the load or bounds what is in progress.
 */
export class InFlight {
  /** What tells it that its client has gone; `undefined` when nothing needs to. */
  watch: ClientWatch | undefined = undefined;
  /** Whether it leaves as soon as the pipeline has decided, because nobody will see the head of its answer. */
  leavesWhenDecided = false;
  /** Whether the rest of its body is still on its way, when it is let in. */
  hasBodyToCome = false;
  /** Whether its client has gone. */
  isGone = false;
  readonly #load: LoadMonitor;
  readonly #clock: Clock;
  #arrivedAtMs: number;
  #isPresent = true;
  #isWaiting = false;
  #isRefused = false;
  #places: Place | undefined = undefined;

  /** The request arrives. */
  constructor(load: LoadMonitor, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
    this.#arrivedAtMs = load.arrive();
  }

  /** Whether it counts: it does until it leaves. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** What the pipeline decided. */
  decided(isRefused: boolean): void {
    this.#isRefused = isRefused;
    if (this.leavesWhenDecided) this.leave(false);
  }

  /** It was refused in the turn of the event loop in which it came. */
  noteRefusedAtOnce(): void {
    this.#load.turns.noteRefusal();
  }

  /**
   * The head of the answer is written, or the connection was closed before: the request is no longer
   * in progress. At the head and not at the end, because a stream of events may last for days. Only
   * the first call counts.
   */
  leave(isAnswered: boolean): void {
    if (!this.#isPresent) return;
    this.#isPresent = false;
    this.watch?.forget(this);
    const nowMs = this.#clock.monotonicMs();
    const latencyMs = this.#latencyMs(isAnswered, nowMs);
    if (this.#isWaiting) this.#load.departWaiting();
    else this.#load.depart(latencyMs, nowMs);
    for (let place = this.#places; place !== undefined; place = place.next) place.leave(latencyMs);
  }

  /** Its client has gone: it leaves, and is not let in any more if it was not yet. */
  leaveUnanswered(): void {
    this.isGone = true;
    this.leave(false);
  }

  /**
   * It waits for its client, who has not sent the whole body yet: that is no load. Its places are free
   * for others meanwhile, and the time is in no latency.
   */
  startWaiting(): void {
    if (!this.#isPresent || this.#isWaiting) return;
    this.#isWaiting = true;
    this.#load.suspend();
    for (let place = this.#places; place !== undefined; place = place.next) place.lend();
  }

  /** What it waited for has come: it counts as one that arrives now. */
  stopWaiting(): void {
    if (!this.#isPresent || !this.#isWaiting) return;
    this.#isWaiting = false;
    this.#arrivedAtMs = this.#load.resume();
    for (let place = this.#places; place !== undefined; place = place.next) place.takeBack();
  }

  /** Keeps a place that was taken at a gate, until it leaves; gives it back at once when it has left. */
  enter(place: Place): void {
    if (!this.#isPresent) {
      place.leave(Number.NaN);
      return;
    }
    if (this.#isWaiting) place.lend();
    place.next = this.#places;
    this.#places = place;
  }

  /** NaN for what says nothing of the load. */
  #latencyMs(isAnswered: boolean, nowMs: number): number {
    if (this.#isRefused) return Number.NaN;
    const latencyMs = nowMs - this.#arrivedAtMs;
    // A client that left early is a lower bound: it counts only where that exceeds the 95th percentile already.
    return isAnswered || latencyMs > this.#load.latencyMs ? latencyMs : Number.NaN;
  }
}
