import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../core/clock.js";
import type { RedisConnection } from "./connection.js";
import { defineScript, WITH_TIME } from "./script.js";

/** Milliseconds between two signs of life. */
const BEAT_MS = 1000;
/** Milliseconds without one after which a process counts as gone. */
const GONE_MS = 3000;
/** Milliseconds after the start at which a process looks again: those that start together soon know of each other. */
const FIRST_BEATS_MS = [100, 250, 500];

/**
 * KEYS: the sorted set of processes, by the time of their last sign of life
 * ARGV: this process, milliseconds after which one is gone
 * Answers with the number of live processes, and how many of them come before this one in the order of their names.
 */
const BEAT = defineScript(`${WITH_TIME}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local members, rank = redis.call('ZRANGE', KEYS[1], 0, -1), 0
for _, member in ipairs(members) do if member < ARGV[1] then rank = rank + 1 end end
return { #members, rank }
`);

/** How many processes share the store: each gives a sign of life once a second. */
export class Fleet {
  readonly #connection: RedisConnection;
  readonly #clock: Clock;
  readonly #key: string;
  readonly #id = randomBytes(12).toString("base64url");
  readonly #expected: number;
  /** The place of this process among those that were counted; `undefined` before it was. */
  rank: number | undefined;
  #timers: readonly NodeJS.Timeout[] = [];
  #processes = 1;
  /** Since when every count was smaller than `#processes`, without a failure in between. */
  #smallerSinceMs: number | undefined;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  /** @param expected so many processes share the store at least, counted or not */
  constructor(connection: RedisConnection, expected = 1, clock: Clock = systemClock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#expected = expected;
    this.#key = `${connection.prefix}:fleet`;
  }

  /** Live processes as counted last, this one included, or as many as are expected: at least 1. */
  get processes(): number {
    return Math.max(this.#processes, this.#expected);
  }

  /** Begins to give signs of life; does nothing when it has begun. */
  start(): void {
    if (this.#timers.length > 0 || this.#isClosed) return;
    const beat = () => void this.beat();
    this.#timers = [setInterval(beat, BEAT_MS), ...FIRST_BEATS_MS.map((afterMs) => setTimeout(beat, afterMs))];
    for (const timer of this.#timers) timer.unref();
    beat();
  }

  /** Gives one sign of life and counts; never rejects. */
  async beat(): Promise<void> {
    try {
      const answer = await this.#connection.run(BEAT, [this.#key], [this.#id, GONE_MS]);
      if (Array.isArray(answer)) this.#counted(Number(answer[0]), Number(answer[1]));
    } catch {
      // The last count holds; who needs Redis meets the failure and tells it.
      this.#smallerSinceMs = undefined;
    }
  }

  /** Signs off, so that the others know at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#timers.length === 0) return;
    await this.#connection.send(this.#key, (client) => client.zrem(this.#key, this.#id)).catch(() => {});
  }

  /**
   * A smaller count holds only when it has lasted as long as every live process needs to be seen, without a
   * failure and without a pause: after an outage the first to come finds nobody else, and a share must not
   * grow by that.
   */
  #counted(count: number, rank: number): void {
    if (!(count >= 1) || !(rank >= 0)) return;
    const now = this.#clock.monotonicMs();
    const wasPaused = now - this.#countedAtMs > 2 * BEAT_MS;
    this.#countedAtMs = now;
    if (count < this.#processes) {
      if (this.#smallerSinceMs === undefined || wasPaused) this.#smallerSinceMs = now;
      if (now - this.#smallerSinceMs < GONE_MS) return;
    }
    this.#smallerSinceMs = undefined;
    this.#processes = count;
    this.rank = rank;
  }
}
