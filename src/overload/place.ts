import type { ClientPlaces } from "./client-places.js";
import type { ConcurrencyGate } from "./gate.js";

/** A place at a gate, from the moment at which it was taken until it is given back. */
export class Place {
  /** The next place of the same request, which may stand at several gates. */
  next: Place | undefined = undefined;
  readonly #gate: ConcurrencyGate;
  readonly #client: ClientPlaces | undefined;
  #turn: number;
  #isLent = false;

  /**
   * @param client the places of the client that it belongs to; `undefined` when nobody counts them
   * @param turn the turn of the event loop in which it was taken
   */
  constructor(gate: ConcurrencyGate, client: ClientPlaces | undefined, turn: number) {
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
    if (this.#isLent) this.#client?.forgetLent();
    else this.#gate.leave(this.#turn, latencyMs, this.#client);
  }

  /** Leaves it to others for a while, until {@link takeBack}. */
  lend(): void {
    this.#isLent = true;
    this.#gate.leave(this.#turn, Number.NaN, this.#client);
    this.#client?.noteLent();
  }

  /** Takes it again, even if there are more requests by now than places. */
  takeBack(): void {
    this.#isLent = false;
    this.#client?.forgetLent();
    this.#turn = this.#gate.takeBack(this.#client);
  }
}
