import { StoreUnavailableError } from "../core/errors.js";
import { andThen, type MaybePromise } from "../core/later.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import type { SessionRecord } from "./store.js";

/**
 * How long a session that is over under its id leaves word of that, in milliseconds: requests that had it
 * open and take no longer find where it went.
 */
export const WORD_LEFT_MS = 60_000;

/** Tries to end a session by its version, before it is deleted whatever its version. */
const POLITE_ATTEMPTS = 3;
/** A session that moves on during each of so many looks is no session of a browser. */
const MAX_MOVES = 64;

/**
 * What stands under an id when the session is over there.
 *
 * @param record what stood there
 * @param successor the id under which it goes on; `null`: it was ended
 */
export function overRecord(
  record: Pick<SessionRecord, "version" | "userId">,
  successor: string | null,
  now: number,
): SessionRecord {
  return {
    data: {},
    version: record.version + 1,
    createdAt: now,
    lastUsedAt: now,
    expiresAt: now + WORD_LEFT_MS,
    forgetAt: now + WORD_LEFT_MS,
    // Who ends all sessions of the user must find where this one went; one that was ended is nobody's.
    userId: successor === null ? undefined : record.userId,
    successor,
  };
}

/** Whether a session is still there under its id. */
export function isLive(record: SessionRecord | undefined): record is SessionRecord {
  return record !== undefined && record.successor === undefined;
}

/**
 * Ends a session for good, and if another request has moved it to a new id, it is ended there.
 *
 * It is a save like any other, onto the version that was seen: so a move that is decided later finds the
 * end, and one that was decided before is found here.
 *
 * @param seen the record as it was seen last
 * @returns whether there was a session to end
 */
export function endSession(
  store: GuardedSessionStore,
  id: string,
  seen: Pick<SessionRecord, "version" | "userId">,
  now: number,
): MaybePromise<boolean> {
  let moves = 0;
  const end = (at: string, record: Pick<SessionRecord, "version" | "userId">, attempt: number): MaybePromise<boolean> =>
    andThen(store.save(at, overRecord(record, null, now), record.version), (outcome) => {
      if (outcome !== "conflict") return outcome === "saved";
      return andThen(store.load(at), (found) => endWhatIsFound(at, found, attempt + 1));
    });
  const endWhatIsFound = (at: string, found: SessionRecord | undefined, attempt: number): MaybePromise<boolean> => {
    if (found === undefined || found.successor === null) return false;
    if (found.successor !== undefined) return follow(found.successor);
    if (attempt <= POLITE_ATTEMPTS) return end(at, found, attempt);
    // Others write without a pause: an end must not wait for them.
    return andThen(store.delete(at), (successor) => (successor === undefined ? true : follow(successor)));
  };
  const follow = (to: string): MaybePromise<boolean> => {
    if (++moves > MAX_MOVES) {
      throw new StoreUnavailableError(`the session moved on ${MAX_MOVES} times while it was ended`);
    }
    return andThen(store.load(to), (found) => endWhatIsFound(to, found, 1));
  };
  return end(id, seen, 1);
}
