import { type Clock, readClock } from "../core/clock.js";
import { integer, read } from "../core/options.js";
import { strictConstruction } from "../core/strict-calls.js";
import { ExpiryHeap, type ExpiryNode } from "./expiry-heap.js";
import type { ListedSession, SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "./store.js";

/** Options of `MemorySessionStore`. */
export interface MemorySessionStoreOptions {
  /**
   * How many sessions are kept at most. When it is full, the one that would end soonest is forgotten, of
   * those without a user as long as there are any: visitors must not push out who is logged in.
   */
  readonly maxSessions?: number | undefined;
  /** Where the time comes from; the machine's clocks when not given. */
  readonly clock?: Clock | undefined;
}

/** A record whose data and flashes are JSON text: nothing is shared with what was saved or loaded. */
interface StoredSession extends Omit<SessionRecord, keyof SessionTimes | "data" | "flashes" | "successor">, ExpiryNode {
  readonly id: string;
  readonly json: string;
  /** The id to which it has moved; `undefined`: it is a session. */
  readonly successor: string | undefined;
  lastUsedAt: number;
  expiresAt: number;
}

// Each save adds one record at most, so forgetting two keeps up and no single save pays for many.
const SWEEP_PER_SAVE = 2;

/**
 * Sessions in the memory of this process: for one process, and for tests. They end with it.
 *
 * Bounded by `maxSessions`, and sessions of users are the last to go; expired sessions are swept as new ones
 * come, without timers.
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
  // Heaps, and not the order of a Map: a save keeps the end that a session had, configurations with other
  // lifetimes may share a store, and what is left of a session that moved ends after a minute.
  /** Sessions of nobody, and what is left of those that moved. */
  readonly #nobodys = new ExpiryHeap<StoredSession>();
  readonly #users = new ExpiryHeap<StoredSession>();
  /** How many records are not sessions any more, but tell where one has moved to. */
  #moved = 0;
  readonly #byUser = new Map<string, Set<StoredSession>>();

  /** @throws ConfigError when `maxSessions` is not a whole number from 1 to 10,000,000 */
  constructor(options?: MemorySessionStoreOptions) {
    strictConstruction("new MemorySessionStore(options)", arguments);
    const readers = { maxSessions: integer(1, 10_000_000, "", 100_000), clock: readClock };
    const { maxSessions, clock } = read("MemorySessionStore", options, readers);
    this.maxSessions = maxSessions;
    this.#clock = clock;
  }

  /** How many sessions are kept now, expired ones that were not swept yet included. */
  get size(): number {
    return this.#sessions.size - this.#moved;
  }

  load(id: string): SessionRecord | undefined {
    const stored = this.#live(id);
    return stored && recordOf(stored);
  }

  save(id: string, record: SessionRecord, expectedVersion: number): SaveOutcome {
    const stored = this.#live(id);
    if (stored === undefined && expectedVersion > 0) return "gone";
    if ((stored?.version ?? 0) !== expectedVersion || stored?.successor !== undefined) return "conflict";
    if (record.successor === null) {
      // That it was there and is not any more says all.
      if (stored !== undefined) this.#forget(stored);
      return "saved";
    }
    if (stored === undefined) this.#makeRoom();
    else this.#forget(stored);
    const { data, flashes, ...rest } = record;
    const kept: StoredSession = {
      ...rest,
      id,
      json: JSON.stringify({ data, flashes }),
      successor: record.successor,
      heapIndex: -1,
    };
    this.#sessions.set(id, kept);
    this.#heapOf(kept).add(kept);
    this.#joinUser(kept);
    if (kept.successor !== undefined) this.#moved++;
    return "saved";
  }

  touch(id: string, times: SessionTimes): boolean {
    const stored = this.#live(id);
    if (stored === undefined || stored.successor !== undefined) return false;
    stored.lastUsedAt = times.lastUsedAt;
    stored.expiresAt = times.expiresAt;
    stored.forgetAt = times.forgetAt;
    this.#heapOf(stored).moved(stored);
    return true;
  }

  delete(id: string): string | undefined {
    const stored = this.#sessions.get(id);
    if (stored !== undefined) this.#forget(stored);
    return stored?.successor;
  }

  list(userId: string): readonly ListedSession[] {
    const now = this.#clock.wallMs();
    const listed: ListedSession[] = [];
    for (const stored of this.#byUser.get(userId) ?? []) {
      if (stored.forgetAt > now) listed.push({ id: stored.id, record: recordOf(stored) });
    }
    return listed;
  }

  #live(id: string): StoredSession | undefined {
    const stored = this.#sessions.get(id);
    if (stored === undefined || stored.forgetAt > this.#clock.wallMs()) return stored;
    this.#forget(stored);
    return undefined;
  }

  #heapOf({ userId, successor }: StoredSession): ExpiryHeap<StoredSession> {
    return userId === undefined || successor !== undefined ? this.#nobodys : this.#users;
  }

  #joinUser(stored: StoredSession): void {
    if (stored.userId === undefined) return;
    const sessions = this.#byUser.get(stored.userId);
    if (sessions === undefined) this.#byUser.set(stored.userId, new Set([stored]));
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
      const isFull = this.#sessions.size >= this.maxSessions;
      const first = firstDue(this.#nobodys, now) ?? firstDue(this.#users, now);
      const unwanted = first ?? (isFull ? (this.#nobodys.first ?? this.#users.first) : undefined);
      if (unwanted === undefined) return;
      this.#forget(unwanted);
    }
  }

  #forget(stored: StoredSession): void {
    this.#sessions.delete(stored.id);
    if (stored.successor !== undefined) this.#moved--;
    this.#heapOf(stored).remove(stored);
    this.#leaveUser(stored);
  }
}

function firstDue(heap: ExpiryHeap<StoredSession>, now: number): StoredSession | undefined {
  const { first } = heap;
  return first !== undefined && first.forgetAt <= now ? first : undefined;
}

function recordOf({ id: _, heapIndex: __, json, ...record }: StoredSession): SessionRecord {
  // What `save` made.
  const content = JSON.parse(json) as Pick<SessionRecord, "data" | "flashes">;
  return { ...content, ...record };
}
