import { PROCESSES, QUOTA } from "./settings.js";
import type { Answer, Kind } from "./traffic.js";

/** What was seen of a fault. */
export interface Outcome {
  /** Answers to what was asked while it lasted, and after. */
  readonly during: readonly Answer[];
  readonly after: readonly Answer[];
  /** Requests of one key that were granted while it lasted, of thrice the quota. */
  readonly granted: number;
  /** Milliseconds from its end until the last answer that was not as usual, by kind. */
  readonly recoveryMs: Readonly<Record<Kind, number>>;
  /** Milliseconds from its end until a process that was started then accepted a good token. */
  readonly newProcessMs: number | undefined;
}

/** A sentence of docs/fleet.md; answers with what was seen instead. */
export interface Promised {
  readonly check: (outcome: Outcome) => string | undefined;
  /** It holds in time only where there is time: not on a machine that is too busy. */
  readonly isOfTime?: boolean;
}

/** Milliseconds that a request may take at most, and a recovery. */
const ANSWER_MS = 500;
const RECOVERY_MS = 2000;
/** Until a new process knows all revoked tokens of a Redis that came back empty. */
const NEW_PROCESS_MS = 15_000;

const of = (answers: readonly Answer[], kind: Kind) => answers.filter((answer) => answer.kind === kind);
const others = (answers: readonly Answer[], statuses: readonly number[]) => {
  const found = new Set(answers.map(({ status }) => status).filter((status) => !statuses.includes(status)));
  return found.size === 0 ? undefined : [...found].join(", ");
};
const said = (what: string, statuses: string | undefined) =>
  statuses === undefined ? undefined : `${what}: ${statuses}`;

/** No request is answered with anything but 200 and 503, and none without an answer. */
export const onlyKnownStatuses: Promised = {
  check: ({ during, after }) =>
    said(
      "other answers than 200 and 503",
      others(
        [...during, ...after].filter(({ kind }) => kind !== "revoked"),
        [200, 503],
      ),
    ),
};

/** Limits are decided without Redis. */
export const limitsGoOn: Promised = {
  check: ({ during }) => said("limits answered with", others(of(during, "limits"), [200])),
};

/** A session is never taken for an empty one: once Redis is down, 503. */
export const sessionsSayNo: Promised = {
  check: ({ during }) =>
    of(during, "sessions").some(({ status }) => status === 503) ? undefined : "no session was answered with 503",
};

export const sessionsGoOn: Promised = {
  check: ({ during, after }) => said("sessions answered with", others(of([...during, ...after], "sessions"), [200])),
};

/** Processes grant their shares. */
export const quotaHolds: Promised = {
  check: ({ granted }) => (granted <= QUOTA ? undefined : `${granted} granted of ${QUOTA}`),
};

export const quotaHoldsTwice: Promised = {
  check: ({ granted }) => (granted <= 2 * QUOTA ? undefined : `${granted} granted of twice ${QUOTA}`),
};

export const limitsAreExact: Promised = {
  check: ({ granted }) => (granted === QUOTA ? undefined : `${granted} granted of ${QUOTA}`),
};

export const nothingFails: Promised = {
  check: ({ during, after }) => said("answers", others([...during, ...after], [200])),
  // An answer within the deadline needs a Redis that gets its turn.
  isOfTime: true,
};

/** A third of the sessions is on the node that is gone; of the others none is refused. */
export const otherNodesGoOn: Promised = {
  check({ during }) {
    const sessions = of(during, "sessions");
    const hit = new Set(sessions.filter(({ status }) => status !== 200).map(({ subject }) => subject));
    const all = new Set(sessions.map(({ subject }) => subject));
    return hit.size <= all.size * 0.6 ? undefined : `${hit.size} of ${all.size} sessions were refused`;
  },
  isOfTime: true,
};

export const revokedStaysRevoked: Promised = {
  check({ during, after }) {
    const accepted = of([...during, ...after], "revoked").filter(({ status }) => status === 200);
    return accepted.length === 0 ? undefined : `a revoked token was accepted ${accepted.length} times`;
  },
};

export const newProcessIsSoonThere: Promised = {
  check: ({ newProcessMs }) =>
    newProcessMs !== undefined && newProcessMs <= NEW_PROCESS_MS
      ? undefined
      : `a new process was not there within ${NEW_PROCESS_MS} ms`,
  isOfTime: true,
};

export const answersInTime: Promised = {
  check({ during, after }) {
    const slowest = Math.max(0, ...[...during, ...after].map(({ tookMs }) => tookMs));
    return slowest <= ANSWER_MS ? undefined : `an answer took ${Math.round(slowest)} ms`;
  },
  isOfTime: true,
};

export const recovers: Promised = {
  check({ recoveryMs }) {
    const slowest = Math.max(recoveryMs.limits, recoveryMs.sessions, recoveryMs.tokens);
    return slowest <= RECOVERY_MS
      ? undefined
      : `it took ${Math.round(slowest)} ms to recover, with ${PROCESSES} processes`;
  },
  isOfTime: true,
};
