import { type Clock, systemClock } from "../core/clock.js";
import type { RedisConnection } from "./connection.js";
import { defineScript, unexpectedReply, WITH_TIME } from "./script.js";

/** Milliseconds after which the server is asked again, beside whatever is going on. */
const FRESH_MS = 10_000;
/** Milliseconds after which its last answer is no answer any more. */
const STALE_MS = 600_000;

/** KEYS: any, so that a Cluster asks the same server always. Answers the clock of the server in milliseconds. */
const NOW = defineScript(`${WITH_TIME} return now`);

/**
 * The clock of Redis, as far as it is known here: what it said, and what has passed since by a clock that
 * nobody sets. It is behind by what an answer takes to come.
 */
export class RedisClock {
  readonly #connection: RedisConnection;
  readonly #clock: Clock;
  readonly #key: string;
  #toldMs = 0;
  /** When it was told, by the monotonic clock of this process. */
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<number> | undefined;

  constructor(connection: RedisConnection, clock: Clock = systemClock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#key = `${connection.prefix}:clock`;
  }

  /** The time now, in milliseconds since 1970; a Promise while it is not known. */
  now(): number | Promise<number> {
    const sinceMs = this.#clock.monotonicMs() - this.#toldAtMs;
    if (sinceMs > STALE_MS) return this.#ask();
    if (sinceMs > FRESH_MS) this.#ask().catch(() => {});
    return this.#toldMs + Math.floor(sinceMs);
  }

  #ask(): Promise<number> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<number> {
    const told = await this.#connection.run(NOW, [this.#key], []);
    if (typeof told !== "number") throw unexpectedReply("time");
    this.#toldMs = told;
    this.#toldAtMs = this.#clock.monotonicMs();
    return told;
  }
}
