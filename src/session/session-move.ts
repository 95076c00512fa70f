import { StoreUnavailableError } from "../core/errors.js";
import { andThen, type MaybePromise } from "../core/later.js";
import type { Contention } from "./contention.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import { isLive, overRecord } from "./session-end.js";
import type { SessionRecord } from "./store.js";

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
  contention: Contention,
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
      return contention.pause(number, "move");
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
