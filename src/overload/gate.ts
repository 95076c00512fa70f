import type { Clock } from "../core/clock.js";
import { type ClientPlaces, PlacesByClient } from "./client-places.js";
import { ConcurrencyLimit } from "./concurrency-limit.js";
import type { LoadMonitor } from "./load.js";
import { Place } from "./place.js";
import { placesFor, type RequestPriority } from "./priority.js";
import type { EventLoopTurns } from "./turns.js";

/** A gate as it stands. */
export interface GateState {
  /** Requests in progress that are let in at present. */
  readonly limit: number;
  readonly inProgress: number;
  /** Share of the last second's requests that found no place, 0 to 1. */
  readonly shedShare: number;
}

/** What a gate works with. */
export interface GateParts {
  readonly clock: Clock;
  readonly load: LoadMonitor;
  /** Milliseconds of work for the event loop that `"auto"` lets stand in front of it. */
  readonly longestBacklogMs: number;
  /** The share of the places that one client may hold, up to 1; see {@link ConcurrencyGate.hasPlaceFor} for the default. */
  readonly clientShare?: number | undefined;
}

/** What one client may hold, so that it cannot take the places of all. */
const CLIENT_SHARE = 0.25;
/** A quarter of fewer places than these would be one request at a time: who counts so few knows his clients. */
const FEW_PLACES = 8;

/** A backlog that has stood for less time than this is a burst and not an overload. */
const BURST_MS = 250;
/** A burst may be so many times as long. */
const BURST_FACTOR = 2.5;
/** The limit is looked at so often; for slower work, once a mean latency. */
const STEP_EVERY_MS = 100;
/** Fewer answers say little about a mean: a step waits for them, but no longer than this. */
const ENOUGH_ANSWERS = 10;
const LONGEST_STEP_MS = 1000;
/** Shares are of ten slices of a tenth of a second. */
const SLICES = 10;
const SLICE_MS = 100;

/**
 * Lets so many requests in at a time, and no more: what is over the limit is refused before any work.
 *
 * A request has its place from here to the head of its answer. A handler that computes without waiting
 * is never in progress twice; yet the requests that were read in one turn of the event loop wait for
 * each other. So a place that is left in the turn in which it was taken stays taken to the turn's end.
 *
 * `"auto"` takes the lesser of two numbers: what the search finds from latencies, and what the event
 * loop can work off soon. The second is known at once where requests cost CPU time; the first finds
 * queues of any kind, as that in front of a database.
 */
export class ConcurrencyGate {
  readonly #clock: Clock;
  readonly #load: LoadMonitor;
  readonly #turns: EventLoopTurns;
  readonly #longestBacklogMs: number;
  readonly #fixedLimit: number | undefined;
  readonly #clientShare: number;
  /** `undefined` where one client may hold all places. */
  readonly #clients: PlacesByClient | undefined;
  readonly #search: ConcurrencyLimit;
  #inProgress = 0;
  #turn = -1;
  #leftInTurn = 0;
  #steppedAtMs: number;
  #stepMs = STEP_EVERY_MS;
  #latencySumMs = 0;
  #answered = 0;
  #isBinding = false;
  #peak = 0;
  readonly #passed = new Uint32Array(SLICES);
  readonly #shed = new Uint32Array(SLICES);
  #slice: number;

  /** @param maxConcurrency a number, or `"auto"`: found from latencies */
  constructor(maxConcurrency: number | "auto", parts: GateParts) {
    this.#clock = parts.clock;
    this.#load = parts.load;
    this.#turns = parts.load.turns;
    this.#longestBacklogMs = parts.longestBacklogMs;
    const nowMs = parts.clock.monotonicMs();
    this.#fixedLimit = maxConcurrency === "auto" ? undefined : maxConcurrency;
    this.#clientShare = parts.clientShare ?? ((this.#fixedLimit ?? FEW_PLACES) < FEW_PLACES ? 1 : CLIENT_SHARE);
    this.#clients = this.#clientShare < 1 ? new PlacesByClient() : undefined;
    this.#search = new ConcurrencyLimit(nowMs);
    this.#steppedAtMs = nowMs;
    this.#slice = Math.floor(nowMs / SLICE_MS);
  }

  /** Requests in progress that are let in at present. */
  get limit(): number {
    return this.#fixedLimit ?? this.#limitAt(this.#clock.monotonicMs());
  }

  /** The gate now. */
  get state(): GateState {
    const limit = Math.max(1, Math.round(this.limit));
    return { limit, inProgress: this.#inProgress, shedShare: this.shedShare(this.#clock.monotonicMs()) };
  }

  /** Whether there is a place for the request of this priority that has just come. Takes none. */
  hasPlace(priority: RequestPriority): boolean {
    const nowMs = this.#turns.latestMs;
    if (this.#fixedLimit === undefined && nowMs - this.#steppedAtMs >= this.#stepMs) this.#step(nowMs);
    return this.#taken() < placesFor(priority, this.#fixedLimit ?? this.#limitAt(nowMs));
  }

  /**
   * Whether a client may take one more place: it holds less than its share. By default that is a quarter
   * of the places and at least one; all of them where `maxConcurrency` is a number below eight.
   *
   * @param isUpload whether the body is still on its way. Such requests hold no place while they wait, and
   *   all of them may come at once: one client has no more of them than there are places.
   */
  hasPlaceFor(client: string, priority: RequestPriority, isUpload: boolean): boolean {
    const places = this.#clients?.known(client);
    if (places === undefined) return true;
    const limit = this.#fixedLimit ?? this.#limitAt(this.#turns.latestMs);
    if (isUpload && places.lent >= placesFor(priority, limit)) return false;
    // Rounded down: a quarter is the most.
    const share = Math.max(1, Math.floor(limit * this.#clientShare));
    return places.taken(this.#turns.number) < placesFor(priority, share);
  }

  /** Takes a place for a client, for its request that was asked for last. */
  enter(client: string): Place {
    this.#advance(this.#turns.latestMs);
    const slice = this.#slice % SLICES;
    this.#passed[slice] = (this.#passed[slice] ?? 0) + 1;
    const turn = this.#turns.number;
    const places = this.#clients?.of(client, turn);
    this.takeBack(places);
    return new Place(this, places, turn);
  }

  /**
   * Takes a place for a request that was let in before, whether there is one or not.
   *
   * @returns the turn of the event loop
   */
  takeBack(client: ClientPlaces | undefined): number {
    client?.take();
    this.#inProgress++;
    this.#peak = Math.max(this.#peak, this.#taken());
    return this.#turns.number;
  }

  /** The request that was asked for last found no place. */
  noteShed(): void {
    this.#isBinding = true;
    this.#advance(this.#turns.latestMs);
    const slice = this.#slice % SLICES;
    this.#shed[slice] = (this.#shed[slice] ?? 0) + 1;
  }

  /**
   * The request that was asked for last was refused, because its client holds its share. To the search
   * that is the same as no place at all, or a server with one client would never get beyond the first
   * limit. To the load it is not: no client can have the limits of others lowered.
   */
  noteShareTaken(): void {
    this.#isBinding = true;
    this.#peak = Math.max(this.#peak, this.limit);
  }

  /**
   * Gives a place back; see {@link Place}.
   *
   * @param turn the turn of the event loop in which it was taken
   * @param latencyMs from arrival to answer; NaN when the request was not answered, or refused further on
   */
  leave(turn: number, latencyMs: number, client: ClientPlaces | undefined): void {
    this.#inProgress--;
    client?.giveBack();
    if (Number.isNaN(latencyMs)) return;
    this.#latencySumMs += latencyMs;
    this.#answered++;
    if (turn !== this.#turns.number) return;
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#leftInTurn = 0;
    }
    this.#leftInTurn++;
    client?.noteLeftInTurn(turn);
  }

  /** Share of the last second's requests that found no place, 0 to 1; 0 when none came. */
  shedShare(nowMs: number): number {
    this.#advance(nowMs);
    let passed = 0;
    let shed = 0;
    for (let slice = 0; slice < SLICES; slice++) {
      passed += this.#passed[slice] ?? 0;
      shed += this.#shed[slice] ?? 0;
    }
    return shed === 0 ? 0 : shed / (shed + passed);
  }

  #limitAt(nowMs: number): number {
    const factor = nowMs - this.#turns.sleptAtMs < BURST_MS ? BURST_FACTOR : 1;
    return Math.min(this.#search.limit, (this.#longestBacklogMs * factor) / this.#load.requestCostMs);
  }

  #step(nowMs: number): void {
    if (this.#answered < ENOUGH_ANSWERS && nowMs - this.#steppedAtMs < LONGEST_STEP_MS) return;
    const latencyMs = this.#answered === 0 ? Number.NaN : this.#latencySumMs / this.#answered;
    const { refusingMs } = this.#turns;
    this.#search.step({
      nowMs,
      latencyMs,
      answered: this.#answered,
      peak: this.#peak,
      isBinding: this.#isBinding,
      refusingMs,
    });
    this.#steppedAtMs = nowMs;
    this.#stepMs = Math.min(LONGEST_STEP_MS, Math.max(STEP_EVERY_MS, latencyMs || 0));
    this.#latencySumMs = 0;
    this.#answered = 0;
    this.#isBinding = false;
    this.#peak = this.#inProgress;
  }

  /** Places that are taken, those included that were left in this turn. */
  #taken(): number {
    return this.#inProgress + (this.#turn === this.#turns.number ? this.#leftInTurn : 0);
  }

  #advance(nowMs: number): void {
    const slice = Math.floor(nowMs / SLICE_MS);
    const passed = Math.min(SLICES, slice - this.#slice);
    for (let step = 1; step <= passed; step++) {
      this.#passed[(this.#slice + step) % SLICES] = 0;
      this.#shed[(this.#slice + step) % SLICES] = 0;
    }
    if (passed > 0) this.#slice = slice;
  }
}
