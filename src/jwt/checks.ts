import type { Clock } from "../core/clock.js";
import type { TokenRejection } from "../core/events.js";
import type { JsonObject } from "../core/json.js";
import { parseJsonObject } from "../jws/json.js";
import { JwsVerifier } from "../jws/verifier.js";
import { ClaimRules, type RegisteredClaims } from "./claim-rules.js";
import { type JwtConfig, keysOf, listOf } from "./config.js";
import type { GuardedRevocations } from "./guarded-revocations.js";
import type { RemoteKeys } from "./remote-keys.js";

/**
 * All checks of a token in their order: length, keys, signature, `typ`, claims, revocation.
 *
 * It answers with a reason instead of throwing: a flood of bad tokens should not pay for stack traces.
 */
export class TokenChecks {
  readonly #rules: ClaimRules;
  readonly #ownKeys: JwsVerifier | undefined;
  readonly #remoteKeys: RemoteKeys | undefined;
  readonly #revocations: GuardedRevocations;
  readonly #clock: Clock;
  readonly #maxTokenLength: number;
  readonly #type: string | undefined;
  #longestLifetime = 0;

  constructor(config: JwtConfig, remoteKeys: RemoteKeys | undefined, revocations: GuardedRevocations, clock: Clock) {
    this.#rules = new ClaimRules({
      issuers: listOf(config.issuer),
      audiences: listOf(config.audience),
      clockTolerance: config.clockTolerance,
      requireExpiration: config.requireExpiration,
    });
    this.#remoteKeys = remoteKeys;
    this.#ownKeys = remoteKeys === undefined ? new JwsVerifier(keysOf(config)) : undefined;
    this.#revocations = revocations;
    this.#clock = clock;
    this.#maxTokenLength = config.maxTokenLength;
    this.#type = config.typ === undefined ? undefined : mediaType(config.typ);
  }

  /** The keys that are in use now; another object when remote keys have changed. */
  get keys(): JwsVerifier | undefined {
    return this.#ownKeys ?? this.#remoteKeys?.verifier;
  }

  /** The longest lifetime of a token that was accepted, in seconds; `Infinity` when one had no expiry. */
  get longestLifetime(): number {
    return this.#longestLifetime;
  }

  /**
   * The claims of a token, or why it is refused.
   *
   * @param isCaughtUp the list of revoked tokens was asked just now, whatever the clock says
   */
  check(token: string, isCaughtUp = false): JsonObject | TokenRejection {
    if (typeof token !== "string") return "malformed";
    if (token.length > this.#maxTokenLength) return "too_long";
    // Before any work is done: whatever the token is, it could not pass.
    if (!isCaughtUp && this.#revocations.mustDeny) return "revocations_unavailable";
    const keys = this.keys;
    if (keys === undefined) return "keys_unavailable";
    const jws = keys.verify(token);
    // While the set cannot be had, nobody knows whether it has this key: the token may be good.
    if (jws === "unknown_key" && this.#remoteKeys?.isFailing === true) return "keys_unavailable";
    if (typeof jws === "string") return jws;
    const { typ } = jws.header;
    if (this.#type !== undefined && (typ === undefined || mediaType(typ) !== this.#type)) return "type";
    const claims = parseJsonObject(jws.payload);
    if (claims === undefined) return "malformed";
    const nowMs = this.#clock.wallMs();
    const problem = this.#rules.check(claims, nowMs);
    if (problem !== undefined) return problem;
    if (this.#revocations.list.isRevoked(claims)) return "revoked";
    this.#noteLifetime(claims, nowMs);
    return claims;
  }

  /** As `check`, and waits for what could make a difference. */
  async checkWithNews(token: string): Promise<JsonObject | TokenRejection> {
    const outcome = this.check(token);
    const news = this.newsFor(outcome);
    return news === undefined ? outcome : this.check(token, await news);
  }

  /** How long a client should wait when `check` says `keys_unavailable`, in whole seconds from 1. */
  get retryAfter(): number {
    return this.#remoteKeys?.retryAfter ?? 1;
  }

  /**
   * What is worth waiting for, seen from the outcome of `check`: remote keys, or the list of revoked tokens
   * when this process was too busy to follow it.
   *
   * @returns a promise of whether the list was asked, for the next `check`
   */
  newsFor(outcome: JsonObject | TokenRejection | undefined): Promise<boolean> | undefined {
    if (outcome === "revocations_unavailable") return this.#revocations.list.catchUp?.();
    if (outcome !== "unknown_key" && outcome !== "keys_unavailable") return undefined;
    return this.#remoteKeys?.refresh()?.then(() => false);
  }

  /** What can have changed since a token was verified: the time, and whether it was revoked. */
  checkAgain(claims: RegisteredClaims): TokenRejection | undefined {
    if (this.#revocations.mustDeny) return "revocations_unavailable";
    return (
      this.#rules.checkTimes(claims, this.#clock.wallMs()) ??
      (this.#revocations.list.isRevoked(claims) ? "revoked" : undefined)
    );
  }

  /** A revoked subject is remembered for as long as its tokens can live, whoever issued them. */
  #noteLifetime({ exp, iat }: RegisteredClaims, nowMs: number): void {
    const lifetime = exp === undefined ? Number.POSITIVE_INFINITY : exp - (iat ?? nowMs / 1000);
    if (lifetime > this.#longestLifetime) this.#longestLifetime = lifetime;
  }
}

/** Media types are compared in any letter case and without `application/`: RFC 7515 section 4.1.9. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith("application/") && !lower.includes("/", 12) ? lower.slice(12) : lower;
}
