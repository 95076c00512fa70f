import { type Clock, readClock } from "../core/clock.js";
import type { StoreErrorCause } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { integer, read } from "../core/options.js";
import { strictConstruction } from "../core/strict-calls.js";
import type { RegisteredClaims } from "./claim-rules.js";
import { Sweep } from "./sweep.js";

/**
 * Which tokens were revoked before they expired.
 *
 * `isRevoked` is asked for every request and answers at once, from memory: an implementation that
 * shares its list between machines keeps a copy here and learns of changes beside.
 */
export interface RevocationList {
  /**
   * For a shared list, whether the copy here is up to date; `false` when nothing has been heard of the
   * shared one for about a second. Read for every request. Absent: always.
   */
  readonly isCurrent?: boolean | undefined;
  /** Why it is not, for the event `store.error`. Of a list with `catchUp`, `undefined` says that it can catch up. */
  readonly failure?: string | undefined;
  /** The kind of that failure, for the same event. */
  readonly failureCause?: StoreErrorCause | undefined;
  /**
   * Asks for what is new, when the copy is out of date only because this process was busy.
   * @returns `undefined` when the shared list is known to fail; else a promise of whether the copy now has what was
   * revoked before the call, but for the last second
   */
  catchUp?(): Promise<boolean> | undefined;
  /** Whether a token with these (verified) claims was revoked. */
  isRevoked(claims: RegisteredClaims): boolean;
  /**
   * Revokes one token. A shared list answers with a promise that is kept when the others can know it;
   * when it is rejected, the copy here knows it all the same.
   * @param expiresAt until when to remember it, seconds since 1970: the token's `exp`; `undefined` for ever
   */
  revoke(jti: string, expiresAt: number | undefined): MaybePromise<void>;
  /**
   * Revokes all tokens of a subject that were issued until now.
   * @param nowMs milliseconds since 1970
   * @param lifetime how long tokens are good, in seconds: the revocation may be forgotten after that; for ever when not given
   */
  revokeAll(sub: string, nowMs: number, lifetime?: number): MaybePromise<void>;
  /** The moment of the last `revokeAll` for a subject, in milliseconds; `undefined` when there was none. */
  revokedUntilMs(sub: string): number | undefined;
  /**
   * Begins to follow a shared list. Called once for each `Jwt` that uses it.
   * @param onChange to be called when `isCurrent` changes
   * @returns a promise that is kept when the list is there, or cannot be waited for any longer
   */
  open?(onChange: () => void): MaybePromise<void>;
  /** Ends connections and timers. */
  close?(): MaybePromise<void>;
}

/** Options of `MemoryRevocationList`. */
export interface MemoryRevocationOptions {
  readonly clock?: Clock | undefined;
  /** Most token ids and most subjects that are remembered, each. Default 100,000. */
  readonly maxEntries?: number | undefined;
}

/** Entries that are looked at for expiry with each new one: two keep the list free of stale ones. */
const SWEEP_STEPS = 2;

/**
 * The revocation list of one process, in memory.
 *
 * It is bounded: when it is full of tokens that have not expired, the oldest entry is forgotten and
 * the process warns once (code `CELLO_REVOCATIONS_FULL`).
 */
export class MemoryRevocationList implements RevocationList {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  /** Token id -> until when it is remembered, in seconds. */
  readonly #tokens = new Map<string, number>();
  /** Subject -> until when its tokens are refused, in milliseconds. */
  readonly #subjects = new Map<string, number>();
  readonly #tokenSweep = new Sweep(this.#tokens);
  readonly #subjectSweep = new Sweep(this.#subjects);
  #subjectLifetime = 0;
  #hasWarned = false;

  /** @throws ConfigError for an option that is unknown or cannot be used */
  constructor(options?: MemoryRevocationOptions) {
    strictConstruction("new MemoryRevocationList(options)", arguments);
    const readers = { clock: readClock, maxEntries: integer(1, 100_000_000, "", 100_000) };
    const { clock, maxEntries } = read("MemoryRevocationList", options, readers);
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  /** How many token ids and subjects are remembered. */
  get size(): number {
    return this.#tokens.size + this.#subjects.size;
  }

  /** Token id -> until when it is remembered, in seconds since 1970, `Infinity` for ever. */
  get tokens(): ReadonlyMap<string, number> {
    return this.#tokens;
  }

  /** Subject -> until when its tokens are refused, in milliseconds since 1970. */
  get subjects(): ReadonlyMap<string, number> {
    return this.#subjects;
  }

  /** How long a subject is remembered, in seconds: the longest lifetime that `revokeAll` was told. */
  get subjectLifetime(): number {
    return this.#subjectLifetime;
  }

  isRevoked(claims: RegisteredClaims): boolean {
    const { jti, sub, iat } = claims;
    if (this.#tokens.size > 0 && jti !== undefined && this.#tokens.has(jti)) return true;
    if (this.#subjects.size === 0 || sub === undefined) return false;
    const untilMs = this.#subjects.get(sub);
    // A token that does not say when it was issued may be an old one.
    return untilMs !== undefined && (iat === undefined || iat * 1000 <= untilMs);
  }

  revoke(jti: string, expiresAt: number | undefined): void {
    this.#tokenSweep.step(this.#clock.wallMs() / 1000, SWEEP_STEPS);
    this.#makeRoom(this.#tokens, jti);
    this.#tokens.set(jti, Math.max(this.#tokens.get(jti) ?? 0, expiresAt ?? Number.POSITIVE_INFINITY));
  }

  revokeAll(sub: string, nowMs: number, lifetime = Number.POSITIVE_INFINITY): void {
    this.#subjectLifetime = Math.max(this.#subjectLifetime, lifetime);
    this.#subjectSweep.step(this.#clock.wallMs() - this.#subjectLifetime * 1000, SWEEP_STEPS);
    const before = this.#subjects.get(sub) ?? nowMs;
    this.#subjects.delete(sub);
    this.#makeRoom(this.#subjects, sub);
    this.#subjects.set(sub, Math.max(before, nowMs));
  }

  revokedUntilMs(sub: string): number | undefined {
    return this.#subjects.get(sub);
  }

  #makeRoom(entries: Map<string, number>, key: string): void {
    if (entries.size < this.#maxEntries || entries.has(key)) return;
    const [oldest] = entries.keys();
    if (oldest !== undefined) entries.delete(oldest);
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    process.emitWarning(
      `the list of revoked tokens is full (${this.#maxEntries}), the oldest are forgotten; raise maxEntries or shorten expiration`,
      { code: "CELLO_REVOCATIONS_FULL" },
    );
  }
}
