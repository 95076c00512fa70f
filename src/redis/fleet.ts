import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../clock.js";
import type { RedisConnection } from "./connection.js";
import { defineScript } from "./script.js";

/** Milliseconds between two signs of life. */
const BEAT_MS = 1000;
/** Milliseconds without one after which a process counts as gone. */
const GONE_MS = 3000;

/**
 * KEYS: the sorted set of processes, by the time of their last sign of life
 * ARGV: this process, milliseconds after which one is gone
 * Answers with the number of live processes.
 */
const BEAT = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`);

/** How many processes share the store: each gives a sign of life once a second. */
export class Fleet {
  readonly #connection: RedisConnection;
  readonly #clock: Clock;
  readonly #key: string;
  readonly #id = randomBytes(12).toString("base64url");
  #timer: NodeJS.Timeout | undefined;
  #processes = 1;
  /** When as many as `#processes` were counted last. */
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(connection: RedisConnection, clock: Clock = systemClock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#key = `${connection.prefix}:fleet`;
  }

  /** Live processes as counted last, this one included: at least 1. */
  get processes(): number {
    return this.#processes;
  }

  /** Begins to give signs of life; does nothing when it has begun. */
  start(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setInterval(() => void this.beat(), BEAT_MS).unref();
    void this.beat();
  }

  /** Gives one sign of life and counts; never rejects. */
  async beat(): Promise<void> {
    try {
      this.#counted(Number(await this.#connection.run(BEAT, [this.#key], [this.#id, GONE_MS])));
    } catch {
      // The last count holds; who needs Redis meets the failure and tells it.
    }
  }

  /** Signs off, so that the others know at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    if (this.#timer === undefined) return;
    await this.#connection.send(this.#key, (client) => client.zrem(this.#key, this.#id)).catch(() => {});
  }

  /**
   * A smaller count holds only when it has lasted: a Redis that comes back empty knows only who was
   * first to find it, and a share must not grow by that.
   */
  #counted(count: number): void {
    const now = this.#clock.monotonicMs();
    if (!(count >= 1)) return;
    if (count < this.#processes && now - this.#countedAtMs < GONE_MS) return;
    this.#processes = count;
    this.#countedAtMs = now;
  }
}
