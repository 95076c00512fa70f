import type { Clock } from "../clock.js";
import { StoreUnavailableError } from "../errors.js";
import type { SessionRejection } from "../events.js";
import type { Exchange } from "../exchange.js";
import { type Answer, andThen } from "./answer.js";
import type { SessionConfig } from "./config.js";
import { CookieWriter } from "./cookie.js";
import type { JsonValue } from "./json.js";
import type { SessionKeyRing } from "./key-ring.js";
import type { Lifetimes } from "./lifetimes.js";
import { RememberedCookies } from "./remembered.js";
import { type OpenedId, SignedIds } from "./signed-id.js";
import { type SessionKeeper, SessionState } from "./state.js";
import type { SafeSessionStore, SaveOutcome, SessionRecord, SessionTimes } from "./store.js";
import { membersOf, SessionValues } from "./values.js";

// Each conflict means that another request was saved, so this is a number of simultaneous writers.
const MAX_SAVES = 64;

/** Sessions that are kept in a store; their cookie holds only a signed id. */
export class StoredSessions implements SessionKeeper {
  readonly isSynchronous: boolean;
  readonly #store: SafeSessionStore;
  readonly #clock: Clock;
  readonly #writer: CookieWriter;
  readonly #ids: SignedIds;
  readonly #lifetimes: Lifetimes;
  readonly #userKey: string;
  readonly #remembered = new RememberedCookies<OpenedId>();

  constructor(
    config: SessionConfig,
    keys: SessionKeyRing,
    lifetimes: Lifetimes,
    clock: Clock,
    store: SafeSessionStore & { readonly isSynchronous: boolean },
  ) {
    this.isSynchronous = store.isSynchronous;
    this.#store = store;
    this.#clock = clock;
    this.#writer = new CookieWriter(config);
    this.#ids = new SignedIds(keys, config.cookieName, lifetimes.maxAgeMs);
    this.#lifetimes = lifetimes;
    this.#userKey = config.userKey;
  }

  /** The session of the newest cookie that verifies and that the store knows, or why there is none. */
  open(exchange: Exchange, cookies: readonly string[], cameAtMs: number): Answer<SessionState | SessionRejection> {
    const now = this.#clock.wallMs();
    const ids: OpenedId[] = [];
    let rejection: SessionRejection | undefined;
    for (const cookie of cookies) {
      const opened = this.#verify(cookie, now);
      if (typeof opened === "string") rejection ??= opened;
      else ids.push(opened);
    }
    if (ids.length > 1) ids.sort((one, other) => other.issuedAt - one.issuedAt);
    return this.#loadFirst(exchange, cameAtMs, ids, rejection);
  }

  createId(): string {
    return SignedIds.create();
  }

  /** A store has no size that a browser would cut. */
  checkSize(): void {}

  /**
   * Deletes the record under the old id now, and leaves the new one to the commit.
   *
   * The record is read once more before, so that what another request saved meanwhile moves along; a
   * session that another request destroyed meanwhile does not come back under a new id.
   */
  regenerate(state: SessionState): Answer<void> {
    const now = this.#clock.wallMs();
    const { id, version } = state;
    state.renew(now, now + this.#lifetimes.maxAgeMs);
    if (version === 0) return undefined;
    const storeId = SignedIds.storeIdOf(id);
    return andThen(this.#store.load(storeId), (record) => {
      if (record?.version !== version) rebase(state, record);
      return this.#store.delete(storeId);
    });
  }

  destroy(state: SessionState): Answer<void> {
    return state.version === 0 ? undefined : this.#store.delete(SignedIds.storeIdOf(state.id));
  }

  /** Saves what changed now; the cookie goes with the head. */
  save(state: SessionState): Answer<void> {
    return afterPending(state, () => {
      if (!state.isChanged || (state.isNew && state.isEmpty)) return undefined;
      const values = state.values.begin();
      const flashes = state.flashes.begin();
      return andThen(this.#commitNow(state), (cookie) => {
        state.savedCookie = cookie ?? state.savedCookie;
        state.isMoved = state.isRegenerated;
        state.values.settle(values);
        state.flashes.settle(flashes);
      });
    });
  }

  reload(state: SessionState): Answer<void> {
    return afterPending(state, () => {
      if (state.version === 0) {
        state.values.reset();
        state.flashes.reset();
        return undefined;
      }
      return andThen(this.#store.load(SignedIds.storeIdOf(state.id)), (record) => {
        if (record === undefined) throw new Error("session.reload: the session was ended by another request");
        state.version = record.version;
        state.values.reset(membersOf(record.data));
        state.flashes.reset(membersOf(record.flashes));
      });
    });
  }

  /** Saves what changed; the cookie to set, `undefined` when there is nothing to say. */
  commit(state: SessionState): Answer<string | undefined> {
    return afterPending(state, () => this.#commitNow(state));
  }

  #commitNow(state: SessionState): Answer<string | undefined> {
    if (state.isDestroyed) return this.#writer.expired;
    if (state.isNew && state.isEmpty) return undefined;
    const now = this.#clock.wallMs();
    const isRenewed = state.version === 0 || this.#lifetimes.isRenewalDue(state.expiresAt, now);
    // The stored end moves only when the cookie moves along: else a session that is written often would
    // outlive its cookie and never be renewed.
    const expiresAt = isRenewed ? this.#lifetimes.endWhenSent(state.expiresAt, now) : state.expiresAt;
    const times = this.#lifetimes.timesOf(expiresAt, now);
    if (state.isChanged) {
      return andThen(this.#save(state, times, 1), (outcome) => {
        // Not even an expiring cookie: the request that ended the session has set the cookie that holds
        // now, and this response may arrive after that one.
        return isRenewed && outcome === "saved" ? this.#cookie(state.id, expiresAt, now) : undefined;
      });
    }
    if (!state.isUsed && !state.isActive) return undefined;
    if (!isRenewed && !this.#lifetimes.isUseToBeRecorded(state.lastUsedAt, now)) return undefined;
    return andThen(this.#store.touch(SignedIds.storeIdOf(state.id), times), (isThere) =>
      isRenewed && isThere ? this.#cookie(state.id, expiresAt, now) : undefined,
    );
  }

  #save(state: SessionState, times: SessionTimes, attempt: number): Answer<SaveOutcome> {
    const storeId = SignedIds.storeIdOf(state.id);
    return andThen(this.#store.save(storeId, recordOf(state, times, this.#userKey), state.version), (outcome) => {
      if (outcome === "saved") {
        state.version += 1;
        state.expiresAt = times.expiresAt;
        state.lastUsedAt = times.lastUsedAt;
      }
      if (outcome !== "conflict") return outcome;
      if (attempt >= MAX_SAVES) {
        throw new StoreUnavailableError(`the session was changed by others during ${MAX_SAVES} attempts to save it`);
      }
      return andThen(this.#store.load(storeId), (record) => {
        if (record === undefined) return "gone";
        rebase(state, record);
        state.version = record.version;
        return this.#save(state, times, attempt + 1);
      });
    });
  }

  #cookie(id: string, expiresAt: number, now: number): string {
    return this.#writer.write(this.#ids.sign(id, now), Math.max(1, Math.ceil((expiresAt - now) / 1000)));
  }

  #loadFirst(
    exchange: Exchange,
    cameAtMs: number,
    ids: readonly OpenedId[],
    rejection: SessionRejection | undefined,
  ): Answer<SessionState | SessionRejection> {
    const [first, ...others] = ids;
    if (first === undefined) return rejection ?? "unknown";
    return andThen<SessionRecord | undefined, SessionState | SessionRejection>(
      this.#store.load(first.storeId),
      (record) => {
        const ending = record === undefined ? "unknown" : this.#lifetimes.ending(record, this.#clock.wallMs());
        if (record === undefined || ending !== undefined) {
          return this.#loadFirst(exchange, cameAtMs, others, rejection ?? ending);
        }
        return this.#begin(exchange, cameAtMs, first.id, record);
      },
    );
  }

  #begin(exchange: Exchange, cameAtMs: number, id: string, record: SessionRecord): SessionState {
    const start = {
      id,
      createdAt: record.createdAt,
      lastUsedAt: record.lastUsedAt,
      expiresAt: record.expiresAt,
      version: record.version,
      values: new SessionValues(membersOf(record.data)),
      flashes: new SessionValues(membersOf(record.flashes)),
    };
    return new SessionState(this, exchange, start, cameAtMs);
  }

  #verify(cookie: string, now: number): OpenedId | SessionRejection {
    const known = this.#remembered.get(cookie);
    // What was remembered may be too old by now; the store would say so too, but at the price of asking.
    if (known !== undefined) return known.issuedAt <= now - this.#lifetimes.maxAgeMs ? "expired" : known;
    const opened = this.#ids.open(cookie, now);
    if (typeof opened !== "string") this.#remembered.remember(opened.value, opened);
    return opened;
  }
}

/** Goes on when `regenerate`, `destroy` or a save that is under way has ended. */
function afterPending<Result>({ pending }: SessionState, next: () => Answer<Result>): Answer<Result> {
  return pending === undefined ? next() : pending.then(next);
}

function recordOf(state: SessionState, times: SessionTimes, userKey: string): SessionRecord {
  return {
    data: state.values.toRecord(),
    flashes: state.flashes.isEmpty ? undefined : state.flashes.toRecord(),
    version: state.version + 1,
    createdAt: state.createdAt,
    userId: userIdOf(state.values.get(userKey)),
    ...times,
  };
}

/** Whose session it is, as text; what is no id of a user is nobody. */
function userIdOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Puts this request's changes on top of what is stored now; on nothing when that is gone. */
function rebase(state: SessionState, record: SessionRecord | undefined): void {
  if (state.isDestroyed) return;
  state.values.rebase(membersOf(record?.data));
  state.flashes.rebase(membersOf(record?.flashes));
}
