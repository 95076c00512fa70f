import type { Clock } from "../core/clock.js";
import { ConcurrencyLimit } from "./concurrency-search.js";
import type { LoadMonitor } from "./load.js";
import { Place, Places, PlacesByClient } from "./places.js";
import { Slices } from "./slices.js";
import type { EventLoopTurns } from "./turns.js";

/** How much a request matters when not all can be served: `background` is shed first, `critical` last. */
export type RequestPriority = "critical" | "normal" | "background";

/** Whether a value is a priority; what the application's function answers may be anything. */
export function isPriority(value: unknown): value is RequestPriority {
  return value === "critical" || value === "normal" || value === "background";
}

/** Background requests may fill half of the places, so that they never stand in the way of others. */
const BACKGROUND_SHARE = 0.5;
/** Critical requests may go this far above the limit: a bound all the same, or they would drown the server. */
const CRITICAL_SHARE = 1.5;

/** How many requests may be in progress, at most, for one of this priority to be let in. */
function placesFor(priority: RequestPriority, limit: number): number {
  if (priority === "normal") return Math.max(1, Math.round(limit));
  if (priority === "background") return Math.max(1, Math.floor(limit * BACKGROUND_SHARE));
  return Math.max(2, Math.ceil(limit * CRITICAL_SHARE));
}

/** Why a request is not let in: all places are taken, or its client holds its share of them. */
export type Lack = "places" | "client";

export interface GateState {
  /** Requests in progress that are let in at present. */
  readonly limit: number;
  readonly inProgress: number;
  /** Share of the last second's requests that found no place, 0 to 1. */
  readonly shedShare: number;
}

export interface GateParts {
  readonly clock: Clock;
  readonly load: LoadMonitor;
  /** Milliseconds of work for the event loop that `"auto"` lets stand in front of it. */
  readonly longestBacklogMs: number;
  /** The share of the places that one client may hold, up to 1; see {@link ConcurrencyGate.lacks} for the default. */
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
/** What is counted of the last second. */
const PASSED = 0;
const SHED = 1;

/**
 * Lets a number of requests in at a time, and no more: what is over the limit is refused before any work.
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
  readonly #all = new Places();
  #steppedAtMs: number;
  #stepMs = STEP_EVERY_MS;
  #latencySumMs = 0;
  #answered = 0;
  #isBinding = false;
  #peak = 0;
  readonly #lastSecond: Slices;

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
    this.#lastSecond = new Slices(nowMs, { slices: 10, sliceMs: 100, columns: 2 });
  }

  /** Requests in progress that are let in at present. */
  get limit(): number {
    return this.#fixedLimit ?? this.#limitAt(this.#clock.monotonicMs());
  }

  get state(): GateState {
    const limit = Math.max(1, Math.round(this.limit));
    return { limit, inProgress: this.#all.held, shedShare: this.shedShare(this.#clock.monotonicMs()) };
  }

  /**
   * What the request that has just come lacks to be let in. Takes no place.
   *
   * A client may hold its share: by default a quarter of the places and at least one, and all of them where
   * `maxConcurrency` is a number below eight.
   *
   * @param isUpload whether the body is still on its way. Such requests hold no place while they wait, and
   *   all of them may come at once: one client has no more of them than there are places.
   */
  lacks(client: string, priority: RequestPriority, isUpload: boolean): Lack | undefined {
    const nowMs = this.#turns.latestMs;
    const turn = this.#turns.number;
    if (this.#fixedLimit === undefined && nowMs - this.#steppedAtMs >= this.#stepMs) this.#step(nowMs);
    const limit = this.#fixedLimit ?? this.#limitAt(nowMs);
    if (this.#all.taken(turn) >= placesFor(priority, limit)) return "places";
    const places = this.#clients?.known(client);
    if (places === undefined) return undefined;
    if (isUpload && places.lent >= placesFor(priority, limit)) return "client";
    // Rounded down: a quarter is the most.
    const share = Math.max(1, Math.floor(limit * this.#clientShare));
    return places.taken(turn) < placesFor(priority, share) ? undefined : "client";
  }

  /**
   * The request that was asked for last was refused.
   *
   * To the search a client that holds its share is the same as no place at all, or a server with one client
   * would never get beyond the first limit. To the load it is not: no client can have the limits of others
   * lowered.
   */
  noteRefused(lack: Lack): void {
    this.#isBinding = true;
    if (lack === "client") this.#peak = Math.max(this.#peak, this.limit);
    else this.#lastSecond.add(SHED, 1, this.#turns.latestMs);
  }

  /** Takes a place for a client, for its request that was asked for last. */
  enter(client: string): Place {
    this.#lastSecond.add(PASSED, 1, this.#turns.latestMs);
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
  takeBack(client: Places | undefined): number {
    const turn = this.#turns.number;
    if (client !== undefined) client.held++;
    this.#all.held++;
    this.#peak = Math.max(this.#peak, this.#all.taken(turn));
    return turn;
  }

  /**
   * Gives a place back; see {@link Place}.
   *
   * @param turn the turn of the event loop in which it was taken
   * @param latencyMs from arrival to answer; NaN when the request was not answered, or refused further on
   */
  leave(turn: number, latencyMs: number, client: Places | undefined): void {
    this.#all.held--;
    if (client !== undefined) client.held--;
    if (Number.isNaN(latencyMs)) return;
    this.#latencySumMs += latencyMs;
    this.#answered++;
    if (turn !== this.#turns.number) return;
    this.#all.noteLeftInTurn(turn);
    client?.noteLeftInTurn(turn);
  }

  /** Share of the last second's requests that found no place, 0 to 1; 0 when none came. */
  shedShare(nowMs: number): number {
    const shed = this.#lastSecond.total(SHED, nowMs);
    return shed === 0 ? 0 : shed / (shed + this.#lastSecond.total(PASSED, nowMs));
  }

  #limitAt(nowMs: number): number {
    const factor = nowMs - this.#turns.sleptAtMs < BURST_MS ? BURST_FACTOR : 1;
    return Math.min(this.#search.limit, (this.#longestBacklogMs * factor) / this.#load.requestCostMs);
  }

  #step(nowMs: number): void {
    if (this.#answered < ENOUGH_ANSWERS && nowMs - this.#steppedAtMs < LONGEST_STEP_MS) return;
    const latencyMs = this.#answered === 0 ? Number.NaN : this.#latencySumMs / this.#answered;
    const seen = { answered: this.#answered, peak: this.#peak, isBinding: this.#isBinding };
    this.#search.step({ nowMs, latencyMs, ...seen, refusingMs: this.#turns.refusingMs });
    this.#steppedAtMs = nowMs;
    this.#stepMs = Math.min(LONGEST_STEP_MS, Math.max(STEP_EVERY_MS, latencyMs || 0));
    this.#latencySumMs = 0;
    this.#answered = 0;
    this.#isBinding = false;
    this.#peak = this.#all.held;
  }
}
