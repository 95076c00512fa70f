import type { Clock } from "../core/clock.js";
import { findCookieValues, hasCookie } from "../core/cookies.js";
import { StoreUnavailableError } from "../core/errors.js";
import type { EventHub, SessionRejection } from "../core/events.js";
import { andThen, type MaybePromise } from "../core/later.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import type { SessionConfig } from "./config.js";
import { GuardedSessionStore } from "./guarded-store.js";
import { SessionKeyRing } from "./key-ring.js";
import { Lifetimes } from "./lifetimes.js";
import { keepLiveValues } from "./properties.js";
import { SealedSessions } from "./sealed-sessions.js";
import { Session, sessionState } from "./session.js";
import { SessionState } from "./state.js";
import type { SessionStore } from "./store.js";
import { StoredSessions } from "./stored-sessions.js";
import { UserSessions } from "./users.js";
import { NO_VALUES } from "./values.js";

/** How many cookies of the session's name are looked at in one request. */
const MAX_CANDIDATES = 8;

/** Opens the session of a request and commits it with the response. */
export class SessionManager {
  /** Whether `open` and `commit` never answer with a Promise. */
  readonly isSynchronous: boolean;
  /** The sessions by user; `undefined` when they are sealed in cookies, which nobody can list. */
  readonly users: UserSessions | undefined;
  /** Where the sessions are kept, so that `commit` can take time or fail; `undefined` when they are sealed in cookies. */
  readonly store: SessionStore | undefined;
  readonly #config: SessionConfig;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #lifetimes: Lifetimes;
  readonly #keeper: SealedSessions | StoredSessions;
  /** Whether a session can end for not being used: then any request that carries it is a use. */
  readonly #countsActivity: boolean;
  #hasWarned = false;

  constructor(config: SessionConfig, { clock, events }: { readonly clock: Clock; readonly events: EventHub }) {
    this.#config = config;
    this.#events = events;
    this.store = config.store;
    this.#lifetimes = new Lifetimes(config);
    this.#countsActivity = config.idleTimeout !== undefined;
    const keys = new SessionKeyRing(config.secret, this.#lifetimes.maxAgeMs);
    if (config.store === undefined) {
      this.#clock = clock;
      this.#keeper = new SealedSessions(config, keys, this.#lifetimes, clock);
      this.users = undefined;
    } else {
      const store = new GuardedSessionStore(config.store, clock, events);
      this.#clock = store;
      this.#keeper = new StoredSessions(config, keys, this.#lifetimes, store);
      this.users = new UserSessions(store, this.#lifetimes);
    }
    this.isSynchronous = this.#keeper.isSynchronous;
  }

  /** Whether the request has a cookie of the session's name, valid or not. */
  carriesCookie(view: RequestView): boolean {
    const header = view.header("cookie");
    return header !== undefined && hasCookie(header, this.#config.cookieName);
  }

  /**
   * The session of a request; a new one when there is no valid cookie. Call it once per request.
   *
   * @param cameAtMs when the request came, in milliseconds of the monotonic clock
   * @returns a Promise only when the store is asynchronous and there is a cookie; it rejects with
   *   `StoreUnavailableError` when the store fails
   */
  open(view: RequestView, cameAtMs: number = this.#clock.monotonicMs()): MaybePromise<Session> {
    const cookies = findCookieValues(view.header("cookie"), this.#config.cookieName, MAX_CANDIDATES);
    if (cookies.length === 0) return this.#begin(view, cameAtMs);
    const opened = this.#keeper.open(view, cookies, cameAtMs);
    if (opened instanceof Promise) return opened.then((loaded) => this.#enter(loaded, view, cameAtMs));
    return this.#enter(opened, view, cameAtMs);
  }

  /**
   * Writes what the request changed about its session. Call it once, before the head is sent.
   *
   * @param isRefused the request was turned away before the handler, which is no use of a session
   * @returns the `Set-Cookie` value to send, `undefined` for none; a Promise only when the store is
   *   asynchronous. Throws or rejects with `StoreUnavailableError` when the store fails
   */
  commit(session: Session, isRefused = false): MaybePromise<string | undefined> {
    const state = sessionState(session);
    if (state.isCommitted) return undefined;
    state.isCommitted = true;
    if (state.failure !== undefined) throw state.failure;
    if (state.live !== undefined) keepLiveValues(state);
    if (state.isDestroyed && state.isNew && !this.carriesCookie(state.view)) return undefined;
    if (this.#countsActivity && !isRefused) state.isActive = !state.isNew;
    if (state.isActive && !state.isUsed) return this.#recordActivity(state);
    const written = this.#keeper.commit(state);
    return written instanceof Promise
      ? written.then((cookie) => this.#sent(state, cookie))
      : this.#sent(state, written);
  }

  /**
   * Notes that a request came with a session that its handler never looked at, where idle time counts.
   * What is no valid session is passed over in silence.
   *
   * @returns the `Set-Cookie` value to send, as {@link commit}; never fails
   */
  noteActivity(view: RequestView, cameAtMs: number): MaybePromise<string | undefined> {
    if (!this.#countsActivity) return undefined;
    const cookies = findCookieValues(view.header("cookie"), this.#config.cookieName, MAX_CANDIDATES);
    if (cookies.length === 0) return undefined;
    return forgiving(() =>
      andThen<SessionState | SessionRejection, string | undefined>(
        this.#keeper.open(view, cookies, cameAtMs),
        (opened) => {
          if (!(opened instanceof SessionState)) return undefined;
          opened.isActive = true;
          return this.#keeper.commit(opened);
        },
      ),
    );
  }

  /** The answer does not depend on this session: that its use could not be written down is no reason to fail it. */
  #recordActivity(state: SessionState): MaybePromise<string | undefined> {
    return forgiving(() => this.#keeper.commit(state));
  }

  /** Closes the store, if there is one. */
  async close(): Promise<void> {
    await this.store?.close?.();
  }

  /** The session that was opened, or a new one in the place of what was refused. */
  #enter(opened: SessionState | SessionRejection, view: RequestView, cameAtMs: number): Session {
    if (opened instanceof SessionState) return new Session(opened, this.#events);
    if (this.#events.has("session.rejected")) {
      this.#events.emit("session.rejected", { ...requestEvent(view), reason: opened });
    }
    return this.#begin(view, cameAtMs);
  }

  #begin(view: RequestView, cameAtMs: number): Session {
    const now = this.#clock.wallMs();
    const session = {
      createdAt: now,
      lastUsedAt: now,
      expiresAt: now + this.#lifetimes.maxAgeMs,
      version: 0,
      values: NO_VALUES,
      flashes: NO_VALUES,
    };
    return new Session(new SessionState(this.#keeper, view, cameAtMs, undefined, session), this.#events);
  }

  /** Says once what browsers will do to the cookie, or what its thief can. */
  #warnOf(view: RequestView): void {
    const { secure, isSecureForgotten } = this.#config;
    if (secure === true && !view.isSecure && !isLoopback(view.clientIp)) {
      this.#warn(
        "CELLO_SECURE_COOKIE_OVER_HTTP",
        "the session cookie is secure and the request came over plain HTTP, so the browser drops it; serve HTTPS, or name your proxy in trustProxy",
      );
    } else if (isSecureForgotten && view.isSecure) {
      this.#warn(
        "CELLO_INSECURE_COOKIE_OVER_HTTPS",
        'the request came over HTTPS and the session cookie is not secure, so browsers send it over plain HTTP too, where it can be read; set SessionConfig.secure to true, to "auto", or to false if that is meant',
      );
    }
  }

  #warn(code: string, message: string): void {
    this.#hasWarned = true;
    this.#events.emit("config.warning", { code, message });
  }

  /** The cookie that leaves with the response: of its commit, or of a save before. */
  #sent(state: SessionState, written: string | undefined): string | undefined {
    const cookie = written ?? (state.isDestroyed ? undefined : state.savedCookie);
    if (cookie !== undefined) this.#report(state);
    return cookie;
  }

  #report(state: SessionState): void {
    const { view } = state;
    if (!this.#hasWarned) this.#warnOf(view);
    if (state.isDestroyed) return;
    if (state.isNew && this.#events.has("session.created")) {
      this.#events.emit("session.created", requestEvent(view));
    }
    if (state.isRegenerated && this.#events.has("session.regenerated")) {
      this.#events.emit("session.regenerated", requestEvent(view));
    }
  }
}

/** A store that fails has been told of as `store.error`; here its answer is not needed. */
function forgiving(call: () => MaybePromise<string | undefined>): MaybePromise<string | undefined> {
  const forgive = (error: unknown): undefined => {
    if (error instanceof StoreUnavailableError) return undefined;
    throw error;
  };
  try {
    const answer = call();
    return answer instanceof Promise ? answer.catch(forgive) : answer;
  } catch (error) {
    return forgive(error);
  }
}

/** Browsers keep secure cookies of plain-HTTP loopback hosts, so development works without TLS. */
function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
