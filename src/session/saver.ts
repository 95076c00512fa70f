import { StoreUnavailableError } from "../core/errors.js";
import { andThen, type MaybePromise } from "../core/later.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import { SignedIds } from "./signed-id.js";
import type { KnownSession, SessionState } from "./state.js";
import type { SaveOutcome, SessionRecord, SessionTimes } from "./store.js";
import { userIdOf } from "./users.js";
import { type ChangesToSave, membersOf, recordOfMembers } from "./values.js";

/**
 * What became of the changes of a request:
 *
 * - `"saved"`: they are stored under the id that it had opened
 * - `"followed"`: the session had moved, and they are stored under its new id
 * - `"gone"`: the session had been ended
 */
export type SavedAs = "saved" | "followed" | "gone";

/** The changes of one request, on their way to the store. */
interface Change {
  readonly state: SessionState;
  readonly times: SessionTimes;
  /** Whether the request signs somebody in who was not signed in when it began, or may do so. */
  readonly signsIn: boolean;
  readonly settle: (outcome: SavedAs) => void;
  readonly fail: (error: unknown) => void;
  /** What of it the save under way carries. */
  begun?: { readonly values: ChangesToSave; readonly flashes: ChangesToSave };
}

/** A session as it was opened, loaded or saved last, with all that a store keeps of its times. */
type Known = KnownSession & SessionTimes;

/** The saves of one session in this process, of which one is under way at a time. */
class Lane {
  /** The requests whose changes the save under way carries. */
  changes: Change[] = [];
  /** Those that came meanwhile. */
  waiting: Change[] = [];
  known: Known | undefined;
  hasMoved = false;
  isRunning = false;

  /** @param id under which the session is, as far as is known */
  constructor(public id: string) {}
}

/**
 * Saves what requests changed about a session.
 *
 * Of one session there is one save at a time, and it carries the changes of all requests that wait: a
 * hundred of them cost two or three saves, and only other processes can come in between. Whoever comes
 * second puts its changes on top of what is there.
 *
 * Changes of a session that was moved meanwhile follow it to its new id, but for one: who signs in. The
 * request that moved it got the new id, and may be that of somebody who planted the old one. Whoever asked
 * for a new id of a session that is nobody's, and changed it then, is taken for one who signs in: under which
 * key that stands is not always known.
 */
export class SessionSaver {
  readonly #store: GuardedSessionStore;
  readonly #userKey: string;
  readonly #maxBytes: number;
  readonly #lanes = new Map<string, Lane>();

  constructor(
    store: GuardedSessionStore,
    { userKey, maxBytes }: { readonly userKey: string; readonly maxBytes: number },
  ) {
    this.#store = store;
    this.#userKey = userKey;
    this.#maxBytes = maxBytes;
  }

  /** Saves the changes of a request; throws or rejects with `StoreUnavailableError` when they are not saved. */
  save(state: SessionState, times: SessionTimes): MaybePromise<SavedAs> {
    const id = SignedIds.storeIdOf(state.id);
    const change = { state, times, signsIn: this.#signsIn(state) };
    if (this.#store.isSynchronous) return this.#saveNow(id, change);
    const lane = this.#lanes.get(id) ?? new Lane(id);
    this.#lanes.set(id, lane);
    return new Promise((settle, fail) => {
      lane.waiting.push({ ...change, settle, fail });
      if (!lane.isRunning) void this.#run(id, lane);
    });
  }

  #saveNow(id: string, change: Omit<Change, "settle" | "fail">): SavedAs {
    const lane = new Lane(id);
    const told: { outcome?: SavedAs; failure?: unknown } = {};
    const settle = (outcome: SavedAs) => Object.assign(told, { outcome });
    const fail = (failure: unknown) => Object.assign(told, { failure });
    lane.changes = [{ ...change, settle, fail }];
    // The store answers at once, and so does all of this.
    void this.#saveChanges(lane, 1);
    if (told.outcome === undefined) throw told.failure;
    return told.outcome;
  }

  async #run(id: string, lane: Lane): Promise<void> {
    lane.isRunning = true;
    while (lane.waiting.length > 0) {
      this.#takeWaiting(lane);
      try {
        await this.#saveChanges(lane, 1);
      } catch (error) {
        for (const { fail } of lane.changes) fail(error);
        // What is stored now is not known.
        lane.known = undefined;
      }
      lane.changes = [];
    }
    this.#lanes.delete(id);
  }

  #takeWaiting(lane: Lane): void {
    lane.changes.push(...lane.waiting);
    lane.waiting = [];
  }

  #saveChanges(lane: Lane, attempt: number): MaybePromise<void> {
    const known = lane.known ?? newestOf(lane.changes);
    const changed = known && this.#putTogether(lane, known);
    if (changed === undefined) return undefined;
    return andThen(this.#store.save(lane.id, recordOf(changed, this.#userKey), changed.version - 1), (outcome) => {
      if (outcome !== "conflict") return settleAll(lane, outcome, changed);
      return andThen(this.#store.pause(attempt, "save"), () =>
        andThen(this.#look(lane), (isThere) => {
          if (!isThere) return settleAll(lane, "gone", changed);
          this.#takeWaiting(lane);
          return this.#saveChanges(lane, attempt + 1);
        }),
      );
    });
  }

  /** Finds out how the session stands now, wherever it is. @returns whether it is anywhere */
  #look(lane: Lane): MaybePromise<boolean> {
    return andThen(this.#store.load(lane.id), (record) => {
      if (record === undefined || record.successor === null) return false;
      if (record.successor === undefined) {
        lane.known = knownOf(record);
        return true;
      }
      lane.id = record.successor;
      lane.hasMoved = true;
      return this.#look(lane);
    });
  }

  /** The session with the changes of all requests; `undefined` when none of them can be saved. */
  #putTogether(lane: Lane, known: Known): Known | undefined {
    const [first, ...others] = lane.changes;
    // What a request set onto what it had opened was measured then.
    const isMeasured = others.length === 0 && first?.state.values.base === known.values;
    const changed = this.#putOnto(known, lane, false);
    const last = lane.changes.at(-1)?.state;
    if (changed === undefined || last === undefined) return undefined;
    return isMeasured || this.#fits(last) ? changed : this.#putOnto(known, lane, true);
  }

  /** @param measures whether requests are turned away whose changes do not fit */
  #putOnto(known: Known, lane: Lane, measures: boolean): Known | undefined {
    let { values, flashes } = known;
    let times: SessionTimes = known;
    lane.changes = lane.changes.filter((change) => {
      const { state, times: used, signsIn, fail } = change;
      if (lane.hasMoved && signsIn) {
        fail(new StoreUnavailableError("the session got another id while somebody signed in: ask again"));
        return false;
      }
      state.values.rebase(values);
      state.flashes.rebase(flashes);
      change.begun = { values: state.values.begin(), flashes: state.flashes.begin() };
      if (measures && !this.#fits(state)) {
        fail(new StoreUnavailableError(`the session grew past ${this.#maxBytes} bytes by what others stored in it`));
        return false;
      }
      values = state.values.toMap();
      flashes = state.flashes.toMap();
      times = latest(times, used);
      return true;
    });
    if (lane.changes.length === 0) return undefined;
    return { ...times, version: known.version + 1, createdAt: known.createdAt, values, flashes };
  }

  #fits({ values, flashes }: SessionState): boolean {
    return sizeOf(values.toJsonText(), flashes.toJsonText()) <= this.#maxBytes;
  }

  #signsIn(state: SessionState): boolean {
    const { values, overtakenWith } = state;
    const user = userIdOf(values.get(this.#userKey));
    const before = userIdOf(values.base.get(this.#userKey)?.value);
    if (user !== undefined && user !== before) return true;
    return before === undefined && overtakenWith !== undefined && overtakenWith !== state.contents;
  }
}

/** How much a session takes in a store, in bytes: as JSON, but for a few. */
export function sizeOf(values: string, flashes: string): number {
  return Buffer.byteLength(values) + Buffer.byteLength(flashes);
}

function settleAll(lane: Lane, outcome: Exclude<SaveOutcome, "conflict">, saved: Known): void {
  if (outcome === "saved") {
    lane.known = saved;
    for (const { state, begun } of lane.changes) {
      // To a request that had opened it elsewhere it is never the session that stands under its id.
      if (!lane.hasMoved) state.version = saved.version;
      state.expiresAt = saved.expiresAt;
      state.lastUsedAt = saved.lastUsedAt;
      if (begun === undefined) continue;
      state.values.settle(begun.values, saved.values);
      state.flashes.settle(begun.flashes, saved.flashes);
    }
  }
  const savedAs = outcome === "saved" && lane.hasMoved ? "followed" : outcome;
  for (const { settle } of lane.changes) settle(savedAs);
}

function latest(one: SessionTimes, other: SessionTimes): SessionTimes {
  return {
    lastUsedAt: Math.max(one.lastUsedAt, other.lastUsedAt),
    expiresAt: Math.max(one.expiresAt, other.expiresAt),
    forgetAt: Math.max(one.forgetAt, other.forgetAt),
  };
}

/** How the session was found by the request that opened it last. */
function newestOf(changes: readonly Change[]): Known | undefined {
  let newest: SessionState | undefined;
  for (const { state } of changes) if (newest === undefined || state.version > newest.version) newest = state;
  return newest && openedAs(newest);
}

/** A session as a request had opened it, or as it was saved since; what is saved next says when to forget it. */
export function openedAs({ version, createdAt, lastUsedAt, expiresAt, values, flashes }: SessionState): Known {
  return { version, createdAt, lastUsedAt, expiresAt, forgetAt: 0, values: values.base, flashes: flashes.base };
}

/** What a store keeps of a session. */
export function recordOf(known: Known, userKey: string): SessionRecord {
  const { values, flashes, version, createdAt, lastUsedAt, expiresAt, forgetAt } = known;
  return {
    data: recordOfMembers(values),
    flashes: flashes.size === 0 ? undefined : recordOfMembers(flashes),
    version,
    createdAt,
    userId: userIdOf(values.get(userKey)?.value),
    lastUsedAt,
    expiresAt,
    forgetAt,
  };
}

export function knownOf(record: SessionRecord): Known {
  return { ...record, values: membersOf(record.data), flashes: membersOf(record.flashes) };
}
