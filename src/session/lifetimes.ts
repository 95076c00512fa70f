import type { SessionConfig } from "./config.js";
import type { SessionTimes } from "./store.js";

/** When sessions end, and when their use must be written down. All times in milliseconds. */
export class Lifetimes {
  readonly maxAgeMs: number;
  readonly #idleMs: number;
  readonly #isRolling: boolean;

  constructor(config: SessionConfig) {
    this.maxAgeMs = config.maxAge * 1000;
    this.#idleMs = (config.idleTimeout ?? Number.POSITIVE_INFINITY) * 1000;
    this.#isRolling = config.rolling;
  }

  /** Why a session is over, `undefined` when it is not. */
  ending(
    session: { readonly createdAt: number; readonly lastUsedAt: number; readonly expiresAt: number },
    now: number,
  ): "expired" | "idle" | undefined {
    if (now >= session.expiresAt) return "expired";
    // A maxAge that was shortened since then holds for old sessions too.
    if (!this.#isRolling && now >= session.createdAt + this.maxAgeMs) return "expired";
    return now - session.lastUsedAt >= this.#idleMs ? "idle" : undefined;
  }

  /** The absolute end of a session whose cookie is sent anew now. */
  endWhenSent(expiresAt: number, now: number): number {
    return this.#isRolling ? now + this.maxAgeMs : expiresAt;
  }

  /** The times to be recorded of a session that is used now and ends then. */
  timesOf(expiresAt: number, now: number): SessionTimes {
    return { lastUsedAt: now, expiresAt, forgetAt: Math.min(expiresAt, now + this.#idleMs) };
  }

  /**
   * What the use of a session makes due: its renewal, where it is rolling and has used up a tenth of its lifetime, or
   * else a record of the use, where idle time would be counted wrongly without.
   */
  due({ lastUsedAt, expiresAt }: { lastUsedAt: number; expiresAt: number }, now: number) {
    if (this.#isRolling && expiresAt - now <= this.maxAgeMs * 0.9) return "renewal";
    return now - lastUsedAt >= this.#idleMs / 10 ? "record" : undefined;
  }
}
