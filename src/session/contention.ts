import { StoreUnavailableError } from "../core/errors.js";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";

/** Each attempt that fails means that another process was saved, so this is a number of simultaneous writers. */
const MAX_ATTEMPTS = 64;
const LONGEST_PAUSE_MS = 50;

/** What requests do that change one session at the same time in several processes. */
export class Contention {
  readonly #isSynchronous: boolean;
  readonly #events: EventHub;

  /** @param isSynchronous the store is in this process: nobody can come in between */
  constructor(isSynchronous: boolean, events: EventHub) {
    this.#isSynchronous = isSynchronous;
    this.#events = events;
  }

  /**
   * Waits before another attempt: not at first, and then for a random time, since processes that were
   * refused together would otherwise come again together.
   *
   * @param attempt how many have failed
   * @param doing what is tried, for the message
   * @throws StoreUnavailableError when it has been tried often enough
   */
  pause(attempt: number, doing: string): MaybePromise<void> {
    if (attempt >= MAX_ATTEMPTS) {
      const message = `the session was changed by others during ${MAX_ATTEMPTS} attempts to ${doing} it`;
      this.#events.emit("store.error", { store: "session", message });
      throw new StoreUnavailableError(message);
    }
    if (attempt === 1 || this.#isSynchronous) return undefined;
    const pauseMs = Math.random() * Math.min(LONGEST_PAUSE_MS, 2 ** attempt);
    return new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
