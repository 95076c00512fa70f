import { type Clock, systemClock } from "../clock.js";
import type { RegisteredClaims } from "./claims.js";

/**
 * Which tokens were revoked before they expired.
 *
 * `isRevoked` is asked for every request and answers at once, from memory: an implementation that
 * shares its list between machines keeps a copy here and learns of changes beside.
 */
export interface RevocationList {
  /** Whether a token with these (verified) claims was revoked. */
  isRevoked(claims: RegisteredClaims): boolean;
  /**
   * Revokes one token.
   * @param expiresAt until when to remember it, seconds since 1970: the token's `exp`; `undefined` for ever
   */
  revoke(jti: string, expiresAt: number | undefined): void;
  /**
   * Revokes all tokens of a subject that were issued until now.
   * @param nowMs milliseconds since 1970
   */
  revokeAll(sub: string, nowMs: number): void;
  /** The moment of the last `revokeAll` for a subject, in milliseconds; `undefined` when there was none. */
  revokedUntilMs(sub: string): number | undefined;
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
  #sweep: Iterator<[string, number]> | undefined;
  #hasWarned = false;

  constructor(options: MemoryRevocationOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#maxEntries = options.maxEntries ?? 100_000;
  }

  /** How many token ids and subjects are remembered. */
  get size(): number {
    return this.#tokens.size + this.#subjects.size;
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
    this.#forgetExpired();
    this.#makeRoom(this.#tokens, jti);
    this.#tokens.set(jti, expiresAt ?? Number.POSITIVE_INFINITY);
  }

  revokeAll(sub: string, nowMs: number): void {
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

  /** Looks at a few entries in turn, so that no single call pays for all. */
  #forgetExpired(): void {
    const now = this.#clock.wallMs() / 1000;
    for (let step = 0; step < SWEEP_STEPS; step++) {
      this.#sweep ??= this.#tokens.entries();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      const [jti, expiresAt] = next.value;
      if (expiresAt <= now) this.#tokens.delete(jti);
    }
  }
}
