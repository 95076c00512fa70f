import { type Clock, readClock } from "../clock.js";
import { ConfigFields } from "../config-fields.js";
import { strictConstruction } from "../strict-calls.js";
import { ExpiryHeap, type ExpiryNode } from "./expiry-heap.js";
import type { JsonValue } from "./json.js";
import type { ListedSession, SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "./store.js";

/** Options of `MemorySessionStore`. */
export interface MemorySessionStoreOptions {
  /** How many sessions are kept at most; the one that would end soonest is forgotten first. */
  readonly maxSessions?: number | undefined;
  /** Where the time comes from; the machine's clocks when not given. */
  readonly clock?: Clock | undefined;
}

interface StoredSession extends ExpiryNode {
  readonly id: string;
  /** Data and flashes as JSON text: nothing is shared with what was saved or loaded. */
  json: string;
  version: number;
  createdAt: number;
  userId: string | undefined;
  lastUsedAt: number;
  expiresAt: number;
  /** The moment from which this may be forgotten. */
  dueAt: number;
  heapIndex: number;
}

// Each save adds one record at most, so forgetting two keeps up and no single save pays for many.
const SWEEP_PER_SAVE = 2;

/**
 * Sessions in the memory of this process: for one process, and for tests. They end with it.
 *
 * Bounded by `maxSessions`; expired sessions are swept as new ones come, without timers.
 *
 * @example
 * ```ts
 * app.enableSession({ secret, store: new MemorySessionStore({ maxSessions: 50_000 }) });
 * ```
 */
export class MemorySessionStore implements SessionStore {
  readonly isSynchronous = true;
  readonly maxSessions: number;
  readonly #clock: Clock;
  readonly #sessions = new Map<string, StoredSession>();
  readonly #byExpiry = new ExpiryHeap<StoredSession>();
  readonly #byUser = new Map<string, Set<StoredSession>>();

  /** @throws ConfigError when `maxSessions` is not a whole number from 1 to 10,000,000 */
  constructor(options?: MemorySessionStoreOptions) {
    strictConstruction("new MemorySessionStore(options)", arguments);
    const fields = new ConfigFields("MemorySessionStore", options, ["maxSessions", "clock"]);
    this.maxSessions = fields.number("maxSessions", 100_000, { min: 1, max: 10_000_000, whole: true });
    this.#clock = readClock(fields);
  }

  /** How many sessions are kept now, expired ones that were not swept yet included. */
  get size(): number {
    return this.#sessions.size;
  }

  load(id: string): SessionRecord | undefined {
    const stored = this.#live(id);
    return stored && recordOf(stored);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): SaveOutcome {
    const stored = this.#live(id);
    if (stored === undefined && expectedVersion > 0) return "gone";
    if ((stored?.version ?? 0) !== expectedVersion) return "conflict";
    const json = JSON.stringify({ data: record.data, flashes: record.flashes });
    if (stored !== undefined) {
      stored.json = json;
      stored.version = record.version;
      stored.createdAt = record.createdAt;
      this.#setUser(stored, record.userId);
      this.#setTimes(stored, record);
      return "saved";
    }
    this.#makeRoom();
    const added: StoredSession = {
      id,
      json,
      version: record.version,
      createdAt: record.createdAt,
      userId: undefined,
      lastUsedAt: record.lastUsedAt,
      expiresAt: record.expiresAt,
      dueAt: record.forgetAt,
      heapIndex: -1,
    };
    this.#sessions.set(id, added);
    this.#byExpiry.add(added);
    this.#setUser(added, record.userId);
    return "saved";
  }

  touch(id: string, times: SessionTimes): boolean {
    const stored = this.#live(id);
    if (stored === undefined) return false;
    this.#setTimes(stored, times);
    return true;
  }

  delete(id: string): void {
    const stored = this.#sessions.get(id);
    if (stored !== undefined) this.#forget(stored);
  }

  list(userId: string): readonly ListedSession[] {
    const now = this.#clock.wallMs();
    const listed: ListedSession[] = [];
    for (const stored of this.#byUser.get(userId) ?? []) {
      if (stored.dueAt > now) listed.push({ id: stored.id, record: recordOf(stored) });
    }
    return listed;
  }

  #live(id: string): StoredSession | undefined {
    const stored = this.#sessions.get(id);
    if (stored === undefined || stored.dueAt > this.#clock.wallMs()) return stored;
    this.#forget(stored);
    return undefined;
  }

  #setTimes(stored: StoredSession, times: SessionTimes): void {
    stored.lastUsedAt = times.lastUsedAt;
    stored.expiresAt = times.expiresAt;
    stored.dueAt = times.forgetAt;
    this.#byExpiry.moved(stored);
  }

  #setUser(stored: StoredSession, userId: string | undefined): void {
    if (stored.userId === userId) return;
    this.#leaveUser(stored);
    stored.userId = userId;
    if (userId === undefined) return;
    const sessions = this.#byUser.get(userId);
    if (sessions === undefined) this.#byUser.set(userId, new Set([stored]));
    else sessions.add(stored);
  }

  #leaveUser(stored: StoredSession): void {
    if (stored.userId === undefined) return;
    const sessions = this.#byUser.get(stored.userId);
    sessions?.delete(stored);
    // A user without sessions takes no room.
    if (sessions?.size === 0) this.#byUser.delete(stored.userId);
  }

  #makeRoom(): void {
    const now = this.#clock.wallMs();
    for (let swept = 0; swept < SWEEP_PER_SAVE; swept++) {
      const first = this.#byExpiry.first;
      if (first === undefined) return;
      if (first.dueAt > now && this.#sessions.size < this.maxSessions) return;
      this.#forget(first);
    }
  }

  #forget(stored: StoredSession): void {
    this.#sessions.delete(stored.id);
    this.#byExpiry.remove(stored);
    this.#leaveUser(stored);
  }
}

function recordOf(stored: StoredSession): SessionRecord {
  const content: { data: Record<string, JsonValue>; flashes?: Record<string, JsonValue> } = JSON.parse(stored.json);
  return {
    data: content.data,
    flashes: content.flashes,
    version: stored.version,
    createdAt: stored.createdAt,
    userId: stored.userId,
    lastUsedAt: stored.lastUsedAt,
    expiresAt: stored.expiresAt,
    forgetAt: stored.dueAt,
  };
}
