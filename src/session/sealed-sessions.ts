import type { Clock } from "../core/clock.js";
import { SessionTooLargeError } from "../core/errors.js";
import type { SessionRejection } from "../core/events.js";
import { isJsonObject } from "../core/json.js";
import { randomText } from "../core/random.js";
import { Remembered } from "../core/remembered.js";
import type { RequestView } from "../core/request-view.js";
import type { SessionConfig } from "./config.js";
import { CookieWriter, MAX_COOKIE_BYTES, REMEMBERED_CHARACTERS } from "./cookie.js";
import { CookieSealer } from "./cookie-sealer.js";
import { EndedSessions } from "./ended-sessions.js";
import type { JsonRecord } from "./json.js";
import type { SessionKeyRing } from "./key-ring.js";
import type { Lifetimes } from "./lifetimes.js";
import { type KnownSession, type SessionKeeper, SessionState } from "./state.js";
import { membersOf, NO_VALUES } from "./values.js";

/**
 * What a sealed cookie holds. `lastUsedAt` is when it was issued: sealed sessions are re-issued when their use
 * must be recorded.
 */
interface SealedSession extends KnownSession {
  readonly id: string;
}

// 128 bits: the id is inside the seal and only tells sessions apart.
const ID_BYTES = 16;
// A cookie that is renewed without need must not overtake the one that ended the session. This process
// remembers what it ended; what others ended is left to requests that take no longer than this.
const MAX_RENEWAL_AGE_MS = 5_000;
// More than id, times and punctuation take beside the data.
const ENVELOPE_BYTES = 128;

/** Sessions that are kept in their own cookie, sealed. */
export class SealedSessions implements SessionKeeper {
  readonly isSynchronous = true;
  readonly #clock: Clock;
  readonly #writer: CookieWriter;
  readonly #sealer: CookieSealer;
  readonly #lifetimes: Lifetimes;
  readonly #remembered = new Remembered<SealedSession>(REMEMBERED_CHARACTERS, (cookie) => cookie.length);
  readonly #ended = new EndedSessions();

  constructor(config: SessionConfig, keys: SessionKeyRing, lifetimes: Lifetimes, clock: Clock) {
    this.#clock = clock;
    this.#writer = new CookieWriter(config);
    this.#sealer = new CookieSealer(keys, config.cookieName);
    this.#lifetimes = lifetimes;
  }

  /** The session in the newest of the cookies that opens, or why the first was refused. */
  open(view: RequestView, cookies: readonly string[], cameAtMs: number): SessionState | SessionRejection {
    const now = this.#clock.wallMs();
    let newest: SealedSession | undefined;
    let rejection: SessionRejection | undefined;
    for (const cookie of cookies) {
      const opened = this.#remembered.get(cookie) ?? this.#unseal(cookie, now);
      const ending = typeof opened === "string" ? opened : this.#lifetimes.ending(opened, now);
      if (typeof opened === "string" || ending !== undefined) rejection ??= ending;
      else if (newest === undefined || opened.lastUsedAt > newest.lastUsedAt) newest = opened;
    }
    if (newest === undefined) return rejection ?? "malformed";
    return new SessionState(this, view, cameAtMs, newest.id, newest);
  }

  now(): number {
    return this.#clock.wallMs();
  }

  createId(): string {
    return randomText(ID_BYTES, "base64url");
  }

  checkSize(state: SessionState): void {
    // A UTF-16 unit is at most three bytes of UTF-8, so short text need not be put together to be measured.
    const dataLength = state.values.toJsonText().length + state.flashes.toJsonText().length;
    if (this.#sizeFor(ENVELOPE_BYTES + 3 * dataLength) <= MAX_COOKIE_BYTES) return;
    const size = this.#sizeFor(Buffer.byteLength(serialise(state, state.expiresAt)));
    if (size > MAX_COOKIE_BYTES) throw new SessionTooLargeError(size, MAX_COOKIE_BYTES);
  }

  regenerate(state: SessionState): void {
    this.#noteEnd(state, false);
    const now = this.#clock.wallMs();
    state.renew(now, now + this.#lifetimes.maxAgeMs);
  }

  /** There is no record to delete: slower requests of this process learn that their cookie is no good. */
  destroy(state: SessionState): void {
    this.#noteEnd(state, true);
  }

  /** Nothing to do but what the commit does: the cookie leaves with the head. */
  save(): void {}

  reload(state: SessionState): void {
    state.values.reset();
    state.flashes.reset();
  }

  /** The cookie to set, `undefined` when there is nothing to say. */
  commit(state: SessionState): string | undefined {
    if (state.isDestroyed) return this.#writer.expire(state.view);
    const now = this.#clock.wallMs();
    if (!this.#mustWrite(state, now) || this.#wasEndedMeanwhile(state)) return undefined;
    const expiresAt = this.#lifetimes.endWhenSent(state.expiresAt, now);
    const value = this.#sealer.seal(serialise(state, expiresAt), now);
    // The client comes back with it: its next request needs no cryptography.
    this.#remembered.remember(value, {
      id: state.id,
      createdAt: state.createdAt,
      expiresAt,
      lastUsedAt: now,
      version: 0,
      values: state.values.toMap(),
      flashes: state.flashes.toMap(),
    });
    return this.#writer.write(value, Math.max(1, Math.ceil((expiresAt - now) / 1000)), state.view);
  }

  /** How large the cookie will be at most for so many bytes of text. */
  #sizeFor(textBytes: number): number {
    return this.#writer.sizeFor(CookieSealer.sealedLength(textBytes));
  }

  #mustWrite(state: SessionState, now: number): boolean {
    if (state.isNew && state.isEmpty) return false;
    if (state.isChanged) return true;
    if (!state.isUsed && !state.isActive) return false;
    return this.#lifetimes.due(state, now) !== undefined && this.#mayRenew(state);
  }

  #mayRenew({ openedId, cameAtMs }: SessionState): boolean {
    if (this.#clock.monotonicMs() - cameAtMs > MAX_RENEWAL_AGE_MS) return false;
    return !this.#ended.mayHaveMissedEnd(openedId, cameAtMs);
  }

  /**
   * Whether a faster request ended the session, so that this one must not bring it back. A session that
   * this request gave a new id of its own goes on, but not with what a logout has thrown away.
   */
  #wasEndedMeanwhile(state: SessionState): boolean {
    const end = this.#ended.endedSince(state.openedId, state.cameAtMs);
    if (end === undefined) return false;
    if (!state.isRegenerated) return true;
    if (end === "regenerated") return false;
    state.values.rebase(NO_VALUES);
    state.flashes.rebase(NO_VALUES);
    return state.isEmpty;
  }

  #noteEnd({ openedId }: SessionState, isDestroyed: boolean): void {
    if (openedId !== undefined) this.#ended.note(openedId, this.#clock.monotonicMs(), isDestroyed);
  }

  #unseal(cookie: string, now: number): SealedSession | SessionRejection {
    const opened = this.#sealer.open(cookie, now);
    if (typeof opened === "string") return opened;
    const session = parse(opened.text, opened.issuedAt);
    if (session === undefined) return "malformed";
    this.#remembered.remember(opened.value, session);
    return session;
  }
}

/** `[id, createdAt, expiresAt, data, flashes]`, the last left out when there are none. */
function serialise(state: SessionState, expiresAt: number): string {
  const flashes = state.flashes.isEmpty ? "" : `,${state.flashes.toJsonText()}`;
  return `["${state.id}",${state.createdAt},${expiresAt},${state.values.toJsonText()}${flashes}]`;
}

function parse(text: string, issuedAt: number): SealedSession | undefined {
  const parts: unknown = JSON.parse(text);
  if (!Array.isArray(parts)) return undefined;
  const [id, createdAt, expiresAt, data, flashes]: unknown[] = parts;
  if (typeof id !== "string" || typeof createdAt !== "number" || typeof expiresAt !== "number") return undefined;
  if (!isJsonObject(data) || !(flashes === undefined || isJsonObject(flashes))) return undefined;
  return {
    id,
    createdAt,
    expiresAt,
    lastUsedAt: issuedAt,
    version: 0,
    // What JSON.parse made holds nothing but JSON.
    values: membersOf(data as JsonRecord),
    flashes: membersOf(flashes as JsonRecord | undefined),
  };
}
