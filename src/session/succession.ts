import { StoreUnavailableError } from "../core/errors.js";
import { andThen, type MaybePromise } from "../core/later.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import type { SessionRecord } from "./store.js";

/**
 * How long a session that is over under its id leaves word of that, in milliseconds: requests that had it
 * open and take no longer find where it went.
 */
const WORD_LEFT_MS = 60_000;

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
function overRecord(
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

/**
 * What became of a move:
 *
 * - `record`: it is stored under its new id, as the record says
 * - `"overtaken"`: another request has moved the session elsewhere
 * - `"ended"`: another request has ended it
 */
export type MoveOutcome = { readonly record: SessionRecord } | "overtaken" | "ended";

/** From where to where a session moves, and what it is under the new id. */
export interface SessionMove {
  readonly from: string;
  readonly to: string;
  /** What stands under the new id, made of what stood under the old one. */
  renewed(record: SessionRecord): SessionRecord;
}

/**
 * Moves a session to a new id, so that one of all that try at the same time succeeds.
 *
 * The new record is put down first, under an id that nobody knows yet. Then one save onto the version of
 * the old one decides: it leaves there where the session went. So a Cluster, that keeps the two in
 * different places, needs no more than a single process.
 *
 * @param seen the record as it was seen last
 */
export function moveSession(
  store: GuardedSessionStore,
  move: SessionMove,
  seen: SessionRecord,
  now: number,
): MaybePromise<MoveOutcome> {
  const { from, to } = move;
  const attempt = (record: SessionRecord, preparedVersion: number, number: number): MaybePromise<MoveOutcome> => {
    const renewed: SessionRecord = { ...move.renewed(record), version: preparedVersion + 1 };
    return andThen(store.save(to, renewed, preparedVersion), (prepared) => {
      if (prepared !== "saved")
        throw new StoreUnavailableError("the session store has lost a session that was just saved");
      return andThen(store.save(from, overRecord(record, to, now), record.version), (outcome) => {
        if (outcome === "saved") return { record: renewed };
        if (outcome === "gone") return withdraw("ended");
        return andThen(store.load(from), (found) => {
          if (found === undefined || found.successor === null) return withdraw("ended");
          if (!isLive(found)) return withdraw("overtaken");
          return andThen(pause(number), () => attempt(found, renewed.version, number + 1));
        });
      });
    });
  };
  const pause = (number: number): MaybePromise<void> => {
    try {
      return store.pause(number, "move");
    } catch (error) {
      return andThen(withdraw(error), () => {
        throw error;
      });
    }
  };
  /** Nobody ever learnt of the new id. */
  const withdraw = <Outcome>(outcome: Outcome): MaybePromise<Outcome> => andThen(store.delete(to), () => outcome);
  return attempt(seen, 0, 1);
}
