import { isJsonObject } from "../core/json.js";
import type { JsonValue } from "./json.js";

/** The moments that a store needs to forget a session, in milliseconds since 1970. */
export interface SessionTimes {
  /** When the session was last used, as far as it is recorded (idle time is counted from here). */
  readonly lastUsedAt: number;
  /** The end of the session, however much it is used. */
  readonly expiresAt: number;
  /**
   * From when on the store may forget the session: the earlier of `expiresAt` and the end of the idle
   * time. A store with its own expiry (`PEXPIREAT`) sets it to this.
   */
  readonly forgetAt: number;
}

/** What a store keeps of a session. It can be serialised with `JSON.stringify`. */
export interface SessionRecord extends SessionTimes {
  /** What the application stored, by key. */
  readonly data: { readonly [key: string]: JsonValue };
  /** Values to be read once, by key; absent when there are none. */
  readonly flashes?: { readonly [key: string]: JsonValue } | undefined;
  /** 1 for a new record, one more at each save. */
  readonly version: number;
  /** When the session began, in milliseconds since 1970. */
  readonly createdAt: number;
  /** Whose session it is: the value under `userKey`, as text; absent while nobody is logged in. */
  readonly userId?: string | undefined;
  /**
   * Only where the session is over under this id: the id under which it goes on after `regenerate`, or
   * `null` when it was ended. Such a record has no data and is kept for a minute, so that requests which
   * had the session open find out. To a store it is a record like any other, but for `touch`, and one
   * with `null` it may drop at once.
   */
  readonly successor?: string | null | undefined;
}

/** A session as a store lists it. */
export interface ListedSession {
  /** The id under which the store keeps it. */
  readonly id: string;
  readonly record: SessionRecord;
}

/**
 * What became of a save:
 *
 * - `"saved"`: the record is stored as given
 * - `"conflict"`: the stored record has another version than was expected; nothing was changed
 * - `"gone"`: a record was expected and there is none; nothing was stored
 */
export type SaveOutcome = "saved" | "conflict" | "gone";

/**
 * Where sessions are kept on the server.
 *
 * Each method may answer directly or with a Promise. The `id` that a store sees is the SHA-256 of the
 * id in the cookie (base64url), so that who reads the store cannot take over a session.
 *
 * `save` and `touch` must be atomic: compare and write in one step (a script in Redis, a `WHERE
 * version = ?` in SQL). That is all that sessions stand on: what is changed, moved to another id or
 * ended at the same time is decided by which `save` comes first.
 *
 * @example
 * ```ts
 * class MapStore implements SessionStore {
 *   readonly isSynchronous = true;
 *   readonly #records = new Map<string, SessionRecord>();
 *   load(id: string) {
 *     return this.#records.get(id);
 *   }
 *   save(id: string, record: SessionRecord, expectedVersion: number): SaveOutcome {
 *     const stored = this.#records.get(id);
 *     if (stored === undefined && expectedVersion > 0) return "gone";
 *     if ((stored?.version ?? 0) !== expectedVersion) return "conflict";
 *     this.#records.set(id, record);
 *     return "saved";
 *   }
 *   touch(id: string, times: SessionTimes) {
 *     const stored = this.#records.get(id);
 *     if (stored === undefined || stored.successor !== undefined) return false;
 *     this.#records.set(id, { ...stored, ...times });
 *     return true;
 *   }
 *   delete(id: string) {
 *     const successor = this.#records.get(id)?.successor;
 *     this.#records.delete(id);
 *     return successor ?? undefined;
 *   }
 * }
 * ```
 */
export interface SessionStore {
  /**
   * `true`: no method ever answers with a Promise. Sessions are then opened at their first use, and
   * otherwise before the handler.
   */
  readonly isSynchronous?: boolean | undefined;

  /** The record of a session, `undefined` when there is none or it may be forgotten by now. */
  load(id: string): SessionRecord | undefined | Promise<SessionRecord | undefined>;

  /**
   * Stores a record if the stored one has the expected version.
   *
   * A record that was deleted must not come back: with `expectedVersion` above 0 and no record, the
   * answer is `"gone"`.
   *
   * @param record with `version` one above `expectedVersion`
   * @param expectedVersion 0: there must be no record yet
   */
  save(id: string, record: SessionRecord, expectedVersion: number): SaveOutcome | Promise<SaveOutcome>;

  /**
   * Changes only the times of a record, not its version. A record with a `successor` is left as it is.
   *
   * @returns whether there was a record, without a `successor`
   */
  touch(id: string, times: SessionTimes): boolean | Promise<boolean>;

  /**
   * Deletes a record, whatever its version; does nothing when there is none.
   *
   * @returns the `successor` of what was deleted, where it is an id: in the same step, else a session that
   *   is moved at that moment could outlive its end
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a store whose method answers nothing is a store too
  delete(id: string): string | void | Promise<string | void>;

  /**
   * The sessions whose record has this `userId`, in any order; needed by `app.sessions` only. Records with
   * a `successor` are among them.
   *
   * Every session whose `save` has been answered and that is still there must be among them. What was
   * deleted, may be forgotten, or belongs to another user by now must not.
   */
  list?(userId: string): readonly ListedSession[] | Promise<readonly ListedSession[]>;

  /**
   * The time of the clock by which this store forgets, in milliseconds since 1970: where it is elsewhere,
   * lifetimes are counted by it and not by the clock of this process, which may be wrong. A Promise only
   * as long as it is not known yet. Without this method the clock of this process is used.
   */
  now?(): number | Promise<number>;

  /** Connects, before the application listens; waits a moment at most, and must not fail. */
  open?(): void | Promise<void>;

  /** Lets go of connections, when the application closes. */
  close?(): void | Promise<void>;
}

/** Whether what a store loaded can be used as a record. */
export function isSessionRecord(value: unknown): value is SessionRecord {
  if (!isJsonObject(value)) return false;
  const times = [value.version, value.createdAt, value.lastUsedAt, value.expiresAt];
  return (
    times.every((time) => typeof time === "number" && Number.isFinite(time)) &&
    isJsonObject(value.data) &&
    (value.flashes === undefined || isJsonObject(value.flashes)) &&
    (value.userId === undefined || typeof value.userId === "string") &&
    (value.successor === undefined || value.successor === null || typeof value.successor === "string")
  );
}

/** Whether what a store listed can be used. */
export function isSessionList(value: unknown): value is readonly ListedSession[] {
  return (
    Array.isArray(value) &&
    value.every((entry) => isJsonObject(entry) && typeof entry.id === "string" && isSessionRecord(entry.record))
  );
}
