import type { ConcurrencyGate } from "./concurrency-gate.js";

/** How many places are taken at a gate: by all requests, or by those of one client. */
export class Places {
  /** Places that will be taken again: those of requests whose body is on its way. */
  lent = 0;
  held = 0;
  #turn = -1;
  #leftInTurn = 0;

  /** Those included that were left in this turn of the event loop: they stay taken to its end. */
  taken(turn: number): number {
    return this.held + (this.#turn === turn ? this.#leftInTurn : 0);
  }

  /** A place that was given back in the turn in which it was taken. */
  noteLeftInTurn(turn: number): void {
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#leftInTurn = 0;
    }
    this.#leftInTurn++;
  }
}

/** Clients without a place are kept up to this number, so that a busy one is not added and removed each time. */
const LEAST_KEPT = 1024;

/** The places of each client. Bounded by the requests in progress: a client that has none is forgotten sooner or later. */
export class PlacesByClient {
  readonly #clients = new Map<string, Places>();
  #sweepAt = LEAST_KEPT;

  of(client: string, turn: number): Places {
    const known = this.#clients.get(client);
    if (known !== undefined) return known;
    if (this.#clients.size >= this.#sweepAt) this.#sweep(turn);
    const places = new Places();
    this.#clients.set(client, places);
    return places;
  }

  /** The places of a client that has any, or had lately. */
  known(client: string): Places | undefined {
    return this.#clients.get(client);
  }

  /** Looks at each client once in as many new ones: the cost of a new client stays the same. */
  #sweep(turn: number): void {
    for (const [client, places] of this.#clients) {
      if (places.taken(turn) + places.lent === 0) this.#clients.delete(client);
    }
    this.#sweepAt = Math.max(LEAST_KEPT, this.#clients.size * 2);
  }
}

/** A place of one request, from the moment at which it was taken until it is given back. */
export class Place {
  /** The next place of the same request, which may stand at several gates. */
  next: Place | undefined = undefined;
  readonly #gate: ConcurrencyGate;
  readonly #client: Places | undefined;
  #turn: number;
  #isLent = false;

  /**
   * @param client the places of the client that it belongs to; `undefined` when nobody counts them
   * @param turn the turn of the event loop in which it was taken
   */
  constructor(gate: ConcurrencyGate, client: Places | undefined, turn: number) {
    this.#gate = gate;
    this.#client = client;
    this.#turn = turn;
  }

  /**
   * Gives it back.
   *
   * @param latencyMs from arrival to answer; NaN when the request was not answered, or refused further on
   */
  leave(latencyMs: number): void {
    if (!this.#isLent) this.#gate.leave(this.#turn, latencyMs, this.#client);
    else if (this.#client !== undefined) this.#client.lent--;
  }

  /** Leaves it to others for a while, until {@link takeBack}. */
  lend(): void {
    this.#isLent = true;
    this.#gate.leave(this.#turn, Number.NaN, this.#client);
    if (this.#client !== undefined) this.#client.lent++;
  }

  /** Takes it again, even if there are more requests by now than places. */
  takeBack(): void {
    this.#isLent = false;
    if (this.#client !== undefined) this.#client.lent--;
    this.#turn = this.#gate.takeBack(this.#client);
  }
}
