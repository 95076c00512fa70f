/** The places that one client holds at a gate. */
export class ClientPlaces {
  #held = 0;
  #turn = -1;
  #leftInTurn = 0;
  #lent = 0;

  /** Places that it will take again: those of requests whose body is on its way. */
  get lent(): number {
    return this.#lent;
  }

  /** Those included that were left in this turn of the event loop: they stay taken to its end. */
  taken(turn: number): number {
    return this.#held + (this.#turn === turn ? this.#leftInTurn : 0);
  }

  take(): void {
    this.#held++;
  }

  giveBack(): void {
    this.#held--;
  }

  noteLent(): void {
    this.#lent++;
  }

  forgetLent(): void {
    this.#lent--;
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

/** Who holds how many places. Bounded by the requests in progress: whoever has none is forgotten sooner or later. */
export class PlacesByClient {
  readonly #clients = new Map<string, ClientPlaces>();
  #sweepAt = LEAST_KEPT;

  /** The places of a client. */
  of(client: string, turn: number): ClientPlaces {
    const known = this.#clients.get(client);
    if (known !== undefined) return known;
    if (this.#clients.size >= this.#sweepAt) this.#sweep(turn);
    const places = new ClientPlaces();
    this.#clients.set(client, places);
    return places;
  }

  /** The places of a client that has any, or had lately. */
  known(client: string): ClientPlaces | undefined {
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
