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
import { redisReplay } from "./replay.js";
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
  readonly #parts: StoreParts;

  /** @throws ConfigError for options that cannot be used */
  constructor(options: RedisStoreOptions) {
    strictConstruction("new RedisStore(options)", arguments);
    this.#parts = options instanceof RedisStore ? options.#parts : createParts(options);
    this.revocations = this.#parts.revocations;
    this.replay = this.#parts.replay;
  }

  /** Connects, and waits up to two seconds for it. Never rejects: a Redis that comes later is used then. */
  async open(): Promise<void> {
    const { connection, fleet } = this.#parts;
    const isConnected = await connection.open(OPEN_MS);
    fleet.start();
    // So that a share is known should Redis fail in the first second.
    if (isConnected) await fleet.beat();
  }

  /** Processes that count limits in this store, as known last; at least 1, or as many as were said to be expected. */
  get processes(): number {
    return this.#parts.fleet.processes;
  }

  /** The place of this process among them, from 0; `undefined` until it was counted. */
  get rank(): number | undefined {
    return this.#parts.fleet.rank;
  }

  // Methods and no bound functions: an application may override one and call the one of `super`.

  consume(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    this.#parts.fleet.start();
    return this.#parts.limits.consume(policy, key, cost);
  }

  charge(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    this.#parts.fleet.start();
    return this.#parts.limits.charge(policy, key, cost);
  }

  peek(policy: RateLimitPolicy, key: string, cost?: number): MaybePromise<RateLimitDecision> {
    return this.#parts.limits.peek(policy, key, cost);
  }

  reset(policy: RateLimitPolicy, key: string): MaybePromise<void> {
    return this.#parts.limits.reset(policy, key);
  }

  load(id: string): Promise<SessionRecord | undefined> {
    return this.#parts.sessions.load(id);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): Promise<SaveOutcome> {
    return this.#parts.sessions.save(id, record, expectedVersion);
  }

  touch(id: string, times: SessionTimes): Promise<boolean> {
    return this.#parts.sessions.touch(id, times);
  }

  delete(id: string): Promise<string | undefined> {
    return this.#parts.sessions.delete(id);
  }

  /** The clock of Redis, in milliseconds since 1970: by it sessions live and end. A Promise until it is known. */
  now(): number | Promise<number> {
    return this.#parts.sessions.now();
  }

  list(userId: string): Promise<readonly ListedSession[]> {
    return this.#parts.sessions.list(userId);
  }

  /** Gives back what was leased and ends the connections made here; whoever of its users calls first closes it for all. */
  close(): Promise<void> {
    return this.#parts.close();
  }
}

/**
 * Sessions in Redis or Valkey, for an application that keeps nothing else there: a `RedisStore` by another name.
 *
 * @example
 * ```ts
 * app.enableSession({ secret, store: new RedisSessionStore({ url: "redis://127.0.0.1:6379" }) });
 * ```
 */
export class RedisSessionStore extends RedisStore {
  /**
   * @param given a store, whose connection and sessions it shares, or the options to make one
   * @throws ConfigError for options that cannot be used
   */
  constructor(given: RedisStore | RedisStoreOptions) {
    strictConstruction("new RedisSessionStore(options)", arguments);
    super(given);
  }
}

/** What a store is made of; shared by those that were made of one another. */
type StoreParts = ReturnType<typeof createParts>;

function createParts(options: RedisStoreOptions) {
  const settings = readRedisOptions(options);
  const connection = new RedisConnection(settings);
  const fleet = new Fleet(connection, settings.processes);
  const limits = new RedisRateLimits(connection, fleet, settings.lease, systemClock);
  const revocations = new RedisRevocations(connection);
  let closing: Promise<void> | undefined;
  const close = async () => {
    revocations.close();
    await Promise.allSettled([limits.close(), fleet.close()]);
    await connection.close();
  };
  return {
    connection,
    fleet,
    limits,
    revocations,
    sessions: new RedisSessions(connection),
    replay: redisReplay(connection),
    close: () => (closing ??= close()),
  };
}
