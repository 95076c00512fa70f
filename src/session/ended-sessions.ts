/** How long an end is remembered: longer than a request usually takes. */
const MEMORY_MS = 300_000;
const MAX_REMEMBERED = 10_000;

/** How long after the end of a session a browser may still send its cookie, without knowing of the end. */
const OVERLAP_MS = 5_000;

interface End {
  atMs: number;
  isDestroyed: boolean;
}

/**
 * Which sealed sessions this process ended of late, by `destroy` or `regenerate`.
 *
 * A sealed session has no record that could be gone. A request that was slower than the one that ended
 * its session would set the old cookie again, and with it sign in who has just signed out. This
 * remembers the last ends, so that such a cookie is not sent; other processes do not know of them.
 *
 * Bounded: the oldest is forgotten first.
 */
export class EndedSessions {
  readonly #ends = new Map<string, End>();

  /** @param nowMs of the monotonic clock, as all times here */
  note(id: string, nowMs: number, isDestroyed: boolean): void {
    const before = this.#ends.get(id);
    // To the end of the map, which is in the order of time.
    this.#ends.delete(id);
    this.#ends.set(id, { atMs: nowMs, isDestroyed: isDestroyed || before?.isDestroyed === true });
    for (const [oldest, { atMs }] of this.#ends) {
      if (this.#ends.size <= MAX_REMEMBERED && atMs > nowMs - MEMORY_MS) break;
      this.#ends.delete(oldest);
    }
  }

  /** How the session was ended after a request with it had come: `undefined` when it was not. */
  endedSince(id: string | undefined, cameAtMs: number): "destroyed" | "regenerated" | undefined {
    const end = this.#endOf(id);
    if (end === undefined || end.atMs < cameAtMs) return undefined;
    return end.isDestroyed ? "destroyed" : "regenerated";
  }

  /** Whether a request came so early that its browser perhaps did not know of the session's end. */
  mayHaveMissedEnd(id: string | undefined, cameAtMs: number): boolean {
    const end = this.#endOf(id);
    return end !== undefined && cameAtMs <= end.atMs + OVERLAP_MS;
  }

  #endOf(id: string | undefined): End | undefined {
    return id === undefined || this.#ends.size === 0 ? undefined : this.#ends.get(id);
  }
}
