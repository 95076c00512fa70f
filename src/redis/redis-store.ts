import { systemClock } from "../core/clock.js";
import type { MaybePromise } from "../core/later.js";
import { strictConstruction } from "../core/strict-calls.js";
import type { ReplayStore } from "../jwt/replay.js";
import type { RevocationList } from "../jwt/revocation.js";
import type { TokenStore } from "../jwt/token-store.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../limits/store.js";
import type { ListedSession, SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "../session/store.js";
import { RedisConnection } from "./connection.js";
import { Fleet } from "./fleet.js";
import { RedisRateLimits } from "./limits/limits.js";
import { type RedisStoreOptions, readRedisOptions } from "./options.js";
import { RedisReplay } from "./replay.js";
import { RedisRevocations } from "./revocations.js";
import { RedisSessions } from "./sessions.js";

/** How long `open` waits for the first connection, in milliseconds. */
const OPEN_MS = 2000;

/**
 * What many processes keep together in Redis or Valkey: the counts of limits, sessions, and which
 * tokens were revoked or used. One object serves all of them.
 *
 * A command that is not answered within `deadline` fails, and so do the next, at once, until Redis
 * answers again. What a failure means is said where the store is used: `onStoreError` of a limit and
 * of `JwtConfig`, and 503 for sessions.
 *
 * @example
 * ```ts
 * const store = new RedisStore({ url: "redis://127.0.0.1:6379" });
 * app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100, window: 60, store }));
 * app.enableSession({ secret, store });
 * app.enableJwt({ secret, store });
 * ```
 */
export class RedisStore implements RateLimitStore, SessionStore, TokenStore {
  /** Tokens that were revoked before they expired. */
  readonly revocations: RevocationList;
  /** Tokens that are good once. */
  readonly replay: ReplayStore;
  readonly #connection: RedisConnection;
  readonly #fleet: Fleet;
  readonly #limits: RedisRateLimits;
  readonly #sessions: RedisSessions;
  readonly #revocations: RedisRevocations;
  #closing: Promise<void> | undefined;

  /** @throws ConfigError for options that cannot be used */
  constructor(options: RedisStoreOptions) {
    strictConstruction("new RedisStore(options)", arguments);
    const settings = readRedisOptions(options);
    this.#connection = new RedisConnection(settings);
    this.#fleet = new Fleet(this.#connection, settings.processes);
    this.#limits = new RedisRateLimits(this.#connection, {
      fleet: this.#fleet,
      lease: settings.lease,
      clock: systemClock,
    });
    this.#sessions = new RedisSessions(this.#connection);
    this.#revocations = new RedisRevocations(this.#connection);
    this.revocations = this.#revocations;
    this.replay = new RedisReplay(this.#connection);
  }

  /** Connects, and waits up to two seconds for it. Never rejects: a Redis that comes later is used then. */
  async open(): Promise<void> {
    const isConnected = await this.#connection.open(OPEN_MS);
    this.#fleet.start();
    // So that a share is known should Redis fail in the first second.
    if (isConnected) await this.#fleet.beat();
  }

  /** Processes that count limits in this store, as known last; at least 1, or as many as were said to be expected. */
  get processes(): number {
    return this.#fleet.processes;
  }

  /** The place of this process among them, from 0; `undefined` until it was counted. */
  get rank(): number | undefined {
    return this.#fleet.rank;
  }

  consume(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    this.#fleet.start();
    return this.#limits.consume(policy, key, cost);
  }

  charge(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    this.#fleet.start();
    return this.#limits.charge(policy, key, cost);
  }

  peek(policy: RateLimitPolicy, key: string, cost?: number): MaybePromise<RateLimitDecision> {
    return this.#limits.peek(policy, key, cost);
  }

  reset(policy: RateLimitPolicy, key: string): MaybePromise<void> {
    return this.#limits.reset(policy, key);
  }

  load(id: string): Promise<SessionRecord | undefined> {
    return this.#sessions.load(id);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): Promise<SaveOutcome> {
    return this.#sessions.save(id, record, expectedVersion);
  }

  touch(id: string, times: SessionTimes): Promise<boolean> {
    return this.#sessions.touch(id, times);
  }

  delete(id: string): Promise<string | undefined> {
    return this.#sessions.delete(id);
  }

  /** The clock of Redis, in milliseconds since 1970: by it sessions live and end. A Promise until it is known. */
  now(): number | Promise<number> {
    return this.#sessions.now();
  }

  list(userId: string): Promise<readonly ListedSession[]> {
    return this.#sessions.list(userId);
  }

  /** Gives back what was leased and ends the connections made here; whoever of its users calls first closes it for all. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([this.#limits.close(), this.#revocations.close(), this.#fleet.close()]);
    await this.#connection.close();
  }
}
