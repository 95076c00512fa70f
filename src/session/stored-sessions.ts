import { SessionTooLargeError } from "../core/errors.js";
import type { SessionRejection } from "../core/events.js";
import { andThen, type MaybePromise } from "../core/later.js";
import { Remembered } from "../core/remembered.js";
import type { RequestView } from "../core/request-view.js";
import type { SessionConfig } from "./config.js";
import { CookieWriter, REMEMBERED_CHARACTERS } from "./cookie.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import type { SessionKeyRing } from "./key-ring.js";
import type { Lifetimes } from "./lifetimes.js";
import { knownOf, openedAs, recordOf, SessionSaver, sizeOf } from "./saver.js";
import { type OpenedId, SignedIds } from "./signed-id.js";
import { type SessionKeeper, SessionState } from "./state.js";
import type { SessionRecord } from "./store.js";
import { endSession, isLive, moveSession, type SessionMove } from "./succession.js";
import { membersOf } from "./values.js";

/** Sessions that are kept in a store; their cookie holds only a signed id. */
export class StoredSessions implements SessionKeeper {
  readonly isSynchronous: boolean;
  readonly #store: GuardedSessionStore;
  readonly #writer: CookieWriter;
  readonly #ids: SignedIds;
  readonly #lifetimes: Lifetimes;
  readonly #userKey: string;
  readonly #maxBytes: number;
  readonly #saver: SessionSaver;
  readonly #remembered = new Remembered<OpenedId>(REMEMBERED_CHARACTERS, (cookie) => cookie.length);

  constructor(config: SessionConfig, keys: SessionKeyRing, lifetimes: Lifetimes, store: GuardedSessionStore) {
    this.isSynchronous = store.isSynchronous;
    this.#store = store;
    this.#writer = new CookieWriter(config);
    this.#ids = new SignedIds(keys, config.cookieName);
    this.#lifetimes = lifetimes;
    this.#userKey = config.userKey;
    this.#maxBytes = config.maxBytes;
    this.#saver = new SessionSaver(store, config);
  }

  /** The session of the newest cookie that verifies and that the store knows, or why there is none. */
  open(view: RequestView, cookies: readonly string[], cameAtMs: number): MaybePromise<SessionState | SessionRejection> {
    return andThen(this.#store.known(), (now) => this.#openAt(now, view, cookies, cameAtMs));
  }

  #openAt(
    now: number,
    view: RequestView,
    cookies: readonly string[],
    cameAtMs: number,
  ): MaybePromise<SessionState | SessionRejection> {
    const ids: OpenedId[] = [];
    let rejection: SessionRejection | undefined;
    for (const cookie of cookies) {
      const opened = this.#verify(cookie, now);
      if (typeof opened === "string") rejection ??= opened;
      else ids.push(opened);
    }
    if (ids.length > 1) ids.sort((one, other) => other.issuedAt - one.issuedAt);
    return this.#loadFirst(view, cameAtMs, ids, rejection);
  }

  now(): number {
    return this.#store.wallMs();
  }

  createId(): string {
    return SignedIds.create();
  }

  /** What one client keeps must not fill the store for all others, nor hold up those who wait behind it. */
  checkSize(state: SessionState): void {
    const values = state.values.toJsonText();
    const flashes = state.flashes.toJsonText();
    // A UTF-16 unit is at most three bytes of UTF-8, so what is short need not be put together to be measured.
    if (3 * (values.length + flashes.length) <= this.#maxBytes) return;
    const size = sizeOf(values, flashes);
    if (size > this.#maxBytes) throw new SessionTooLargeError(size, this.#maxBytes, "store");
  }

  /**
   * Moves the record to a new id now. The changes of this request come with the commit, and those of
   * others that have the session open follow.
   *
   * When another request was quicker to move it, this one has no new id, and its changes follow the other's,
   * but for those that may sign somebody in: see `SessionSaver`. A session that another has ended does not come
   * back: this request goes on with a new one, and keeps of it what it has set itself.
   */
  regenerate(state: SessionState): MaybePromise<void> {
    const now = this.#store.wallMs();
    const expiresAt = now + this.#lifetimes.maxAgeMs;
    if (state.version === 0) {
      state.renew(now, expiresAt);
      return undefined;
    }
    const id = SignedIds.create();
    const times = this.#lifetimes.timesOf(expiresAt, now);
    const move: SessionMove = {
      from: SignedIds.storeIdOf(state.id),
      to: SignedIds.storeIdOf(id),
      // Whose it is stands at the old id until the commit: nobody lists a session that may yet be withdrawn.
      renewed: (record) => ({ ...record, createdAt: now, userId: undefined, ...times }),
    };
    return andThen(moveSession(this.#store, move, recordOf(openedAs(state), this.#userKey), now), (outcome) => {
      if (outcome === "overtaken") {
        state.overtakenWith ??= state.contents;
        return;
      }
      const record = outcome === "ended" ? undefined : outcome.record;
      rebase(state, record);
      state.renew(now, expiresAt, id);
      state.version = record?.version ?? 0;
    });
  }

  destroy(state: SessionState): MaybePromise<void> {
    if (state.version === 0) return undefined;
    const id = SignedIds.storeIdOf(state.id);
    const { version } = state;
    return andThen(endSession(this.#store, id, { version, userId: undefined }, this.#store.wallMs()), () => {});
  }

  /** Saves what changed now; the cookie goes with the head. */
  save(state: SessionState): MaybePromise<void> {
    return afterPending(state, () => {
      if (!state.isChanged || (state.isNew && state.isEmpty)) return undefined;
      return andThen(this.#commitNow(state), (cookie) => {
        state.savedCookie = cookie ?? state.savedCookie;
        state.isMoved = state.isRegenerated;
      });
    });
  }

  reload(state: SessionState): MaybePromise<void> {
    return afterPending(state, () => {
      if (state.version === 0) {
        state.values.reset();
        state.flashes.reset();
        return undefined;
      }
      return andThen(this.#store.load(SignedIds.storeIdOf(state.id)), (record) => {
        // What is at its new id is not for who came with the old one.
        if (!isLive(record)) throw new Error("session.reload: the session was ended or regenerated by another request");
        state.version = record.version;
        state.values.reset(membersOf(record.data));
        state.flashes.reset(membersOf(record.flashes));
      });
    });
  }

  /** Saves what changed; the cookie to set, `undefined` when there is nothing to say. */
  commit(state: SessionState): MaybePromise<string | undefined> {
    return afterPending(state, () => this.#commitNow(state));
  }

  #commitNow(state: SessionState): MaybePromise<string | undefined> {
    if (state.isDestroyed) return this.#writer.expire(state.view);
    if (state.version === 0) return state.isEmpty ? undefined : this.#commitFirst(state);
    const now = this.#store.wallMs();
    const due = this.#lifetimes.due(state, now);
    const isRenewed = (state.isRegenerated && !state.isMoved) || due === "renewal";
    // The stored end moves only when the cookie moves along: else a session that is written often would
    // outlive its cookie and never be renewed.
    const expiresAt = isRenewed ? this.#lifetimes.endWhenSent(state.expiresAt, now) : state.expiresAt;
    const times = this.#lifetimes.timesOf(expiresAt, now);
    if (state.isChanged) {
      return andThen(this.#saver.save(state, times), (outcome) => {
        // Not even an expiring cookie: the request that ended or moved the session has set the cookie that
        // holds now, and this response may arrive after that one.
        return isRenewed && outcome === "saved" ? this.#cookie(state, expiresAt, now) : undefined;
      });
    }
    if (!state.isUsed && !state.isActive) return undefined;
    if (!isRenewed && due === undefined) return undefined;
    return andThen(this.#store.touch(SignedIds.storeIdOf(state.id), times), (isThere) =>
      isRenewed && isThere ? this.#cookie(state, expiresAt, now) : undefined,
    );
  }

  /** A session that no store has seen: it begins now, by the clock of the store. */
  #commitFirst(state: SessionState): MaybePromise<string | undefined> {
    return andThen(this.#store.known(), (now) => {
      // When the request began, that clock may not have been known yet.
      state.createdAt = now;
      state.lastUsedAt = now;
      state.expiresAt = now + this.#lifetimes.maxAgeMs;
      return andThen(this.#saver.save(state, this.#lifetimes.timesOf(state.expiresAt, now)), (outcome) =>
        outcome === "saved" ? this.#cookie(state, state.expiresAt, now) : undefined,
      );
    });
  }

  #cookie({ id, view }: SessionState, expiresAt: number, now: number): string {
    return this.#writer.write(this.#ids.sign(id, now), Math.max(1, Math.ceil((expiresAt - now) / 1000)), view);
  }

  #loadFirst(
    view: RequestView,
    cameAtMs: number,
    ids: readonly OpenedId[],
    rejection: SessionRejection | undefined,
  ): MaybePromise<SessionState | SessionRejection> {
    const [first, ...others] = ids;
    if (first === undefined) return rejection ?? "unknown";
    return andThen<SessionRecord | undefined, SessionState | SessionRejection>(
      this.#store.load(first.storeId),
      (record) => {
        // Where it went, if it moved, is no business of who comes with the old id: he may have planted it.
        const ending = isLive(record) ? this.#lifetimes.ending(record, this.#store.wallMs()) : "unknown";
        if (record === undefined || ending !== undefined) {
          return this.#loadFirst(view, cameAtMs, others, rejection ?? ending);
        }
        return new SessionState(this, view, cameAtMs, first.id, knownOf(record));
      },
    );
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
function afterPending<Result>({ pending }: SessionState, next: () => MaybePromise<Result>): MaybePromise<Result> {
  return pending === undefined ? next() : pending.then(next);
}

/** Puts this request's changes on top of what is stored now; on nothing when that is gone. */
function rebase(state: SessionState, record: SessionRecord | undefined): void {
  if (state.isDestroyed) return;
  state.values.rebase(membersOf(record?.data));
  state.flashes.rebase(membersOf(record?.flashes));
}
