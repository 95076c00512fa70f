import { strictConstruction } from "../core/strict-calls.js";
import type { ListedSession, SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "../session/store.js";
import type { RedisStoreOptions } from "./options.js";
import { RedisStore } from "./redis-store.js";

/**
 * Sessions in Redis or Valkey, for an application that keeps nothing else there. A `RedisStore` is a
 * session store too; use that when limits or tokens are shared as well.
 *
 * @example
 * ```ts
 * app.enableSession({ secret, store: new RedisSessionStore({ url: "redis://127.0.0.1:6379" }) });
 * ```
 */
export class RedisSessionStore implements SessionStore {
  readonly #store: RedisStore;

  /**
   * @param given a store, or the options to make one
   * @throws ConfigError for options that cannot be used
   */
  constructor(given: RedisStore | RedisStoreOptions) {
    strictConstruction("new RedisSessionStore(options)", arguments);
    this.#store = given instanceof RedisStore ? given : new RedisStore(given);
  }

  load(id: string): Promise<SessionRecord | undefined> {
    return this.#store.load(id);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): Promise<SaveOutcome> {
    return this.#store.save(id, record, expectedVersion);
  }

  touch(id: string, times: SessionTimes): Promise<boolean> {
    return this.#store.touch(id, times);
  }

  delete(id: string): Promise<string | undefined> {
    return this.#store.delete(id);
  }

  /** The clock of Redis, in milliseconds since 1970: by it sessions live and end. A Promise until it is known. */
  now(): number | Promise<number> {
    return this.#store.now();
  }

  list(userId: string): Promise<readonly ListedSession[]> {
    return this.#store.list(userId);
  }

  open(): Promise<void> {
    return this.#store.open();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
