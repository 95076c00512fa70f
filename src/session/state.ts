import type { MaybePromise } from "../core/later.js";
import type { RequestView } from "../core/request-view.js";
import type { LiveValues } from "./properties.js";
import { type SessionMembers, SessionValues } from "./values.js";

/** Where a session is kept: in its cookie, or in a store. */
export interface SessionKeeper {
  /** The time by the clock that its sessions are counted by, in milliseconds since 1970. */
  now(): number;
  /** A new session id. */
  createId(): string;
  /**
   * Checks that a session with these values can be kept.
   *
   * @throws SessionTooLargeError
   */
  checkSize(state: SessionState): void;
  /** Makes the id that the session had until now useless. */
  regenerate(state: SessionState): MaybePromise<void>;
  /** Makes the session useless. */
  destroy(state: SessionState): MaybePromise<void>;
  /** Saves what was changed so far, before the response does. */
  save(state: SessionState): MaybePromise<void>;
  /** Forgets what was changed, and takes what is stored now. */
  reload(state: SessionState): MaybePromise<void>;
}

/** A session as it was opened, loaded or saved last. It may be shared by requests and is never written to. */
export interface KnownSession {
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
  /** The version of its record in a store; 0 when there is none. */
  readonly version: number;
  readonly values: SessionMembers;
  readonly flashes: SessionMembers;
}

/** The inside of a session during one request; `Session` is what the application sees of it. */
export class SessionState {
  readonly isNew: boolean;
  readonly values: SessionValues;
  readonly flashes: SessionValues;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
  version: number;
  /** The application has looked at it. */
  isUsed = false;
  /** That the request came at all counts against idle time. */
  isActive = false;
  isRegenerated = false;
  /** The new id that `regenerate` gave is saved. */
  isMoved = false;
  /** What the session held when it asked for a new id and another request was quicker; `undefined`: none was. */
  overtakenWith: string | undefined;
  isDestroyed = false;
  /** The head of the response is settled: what is changed now would be lost. */
  isCommitted = false;
  /** Work of `regenerate` or `destroy` that is under way in a store. */
  pending: Promise<void> | undefined;
  /** What the application holds of the values as objects that it may change; `undefined` when it holds none. */
  live: LiveValues | undefined;
  /** The cookie of a save that came before the response. */
  savedCookie: string | undefined;
  /** What `regenerate` or `destroy` failed with: the commit must not go on as if it had worked. */
  failure: unknown;
  #id: string | undefined;

  constructor(
    readonly keeper: SessionKeeper,
    readonly view: RequestView,
    /** When the request came, in milliseconds of the monotonic clock. */
    readonly cameAtMs: number,
    /** The id of the session that the request came with; `undefined`: it is new, and gets one when it is needed. */
    readonly openedId: string | undefined,
    opened: KnownSession,
  ) {
    this.isNew = openedId === undefined;
    this.#id = openedId;
    this.createdAt = opened.createdAt;
    this.lastUsedAt = opened.lastUsedAt;
    this.expiresAt = opened.expiresAt;
    this.version = opened.version;
    this.values = new SessionValues(opened.values);
    this.flashes = new SessionValues(opened.flashes);
  }

  get id(): string {
    this.#id ??= this.keeper.createId();
    return this.#id;
  }

  /** Whether the session must be written: it has something that was not there before. */
  get isChanged(): boolean {
    return (this.isRegenerated && !this.isMoved) || this.values.isChanged || this.flashes.isChanged;
  }

  /** All that it holds, as text to be compared. */
  get contents(): string {
    return `${this.values.toJsonText()}${this.flashes.toJsonText()}`;
  }

  get isEmpty(): boolean {
    return this.values.isEmpty && this.flashes.isEmpty;
  }

  /** Gives the session a new id and a new life. */
  renew(now: number, expiresAt: number, id = this.keeper.createId()): void {
    this.#id = id;
    this.createdAt = now;
    this.lastUsedAt = now;
    this.expiresAt = expiresAt;
    this.version = 0;
    this.isRegenerated = true;
    this.isMoved = false;
  }
}
