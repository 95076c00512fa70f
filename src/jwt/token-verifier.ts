import type { Clock } from "../clock.js";
import type { TokenRejection } from "../events.js";
import { type JsonObject, parseJsonObject } from "../jws/json.js";
import { Verifier } from "../jws/verifier.js";
import { ClaimRules, type RegisteredClaims } from "./claims.js";
import { type JwtConfig, keysOf, listOf } from "./config.js";
import type { RemoteKeys } from "./remote-keys.js";
import type { RevocationList } from "./revocation.js";

/**
 * All checks of a token in their order: length, keys, signature, `typ`, claims, revocation.
 *
 * It answers with a reason instead of throwing: a flood of bad tokens should not pay for stack traces.
 */
export class TokenVerifier {
  readonly #rules: ClaimRules;
  readonly #ownKeys: Verifier | undefined;
  readonly #remoteKeys: RemoteKeys | undefined;
  readonly #revocations: RevocationList;
  readonly #clock: Clock;
  readonly #maxTokenLength: number;
  readonly #type: string | undefined;

  constructor(config: JwtConfig, remoteKeys: RemoteKeys | undefined, revocations: RevocationList, clock: Clock) {
    this.#rules = new ClaimRules({
      issuers: listOf(config.issuer),
      audiences: listOf(config.audience),
      clockTolerance: config.clockTolerance,
      requireExpiration: config.requireExpiration,
    });
    this.#remoteKeys = remoteKeys;
    this.#ownKeys = remoteKeys === undefined ? new Verifier(keysOf(config)).prepareUsualHeaders() : undefined;
    this.#revocations = revocations;
    this.#clock = clock;
    this.#maxTokenLength = config.maxTokenLength;
    this.#type = config.typ === undefined ? undefined : mediaType(config.typ);
  }

  /** The keys that are in use now; another object when remote keys have changed. */
  get keys(): Verifier | undefined {
    return this.#ownKeys ?? this.#remoteKeys?.verifier;
  }

  /** The claims of a token, or why it is refused. */
  check(token: string): JsonObject | TokenRejection {
    if (typeof token !== "string") return "malformed";
    if (token.length > this.#maxTokenLength) return "too_long";
    const keys = this.keys;
    if (keys === undefined) return "keys_unavailable";
    const jws = keys.verify(token);
    if (typeof jws === "string") return jws;
    const { typ } = jws.header;
    if (this.#type !== undefined && (typ === undefined || mediaType(typ) !== this.#type)) return "type";
    const claims = parseJsonObject(jws.payload);
    if (claims === undefined) return "malformed";
    const problem = this.#rules.check(claims, this.#clock.wallMs());
    if (problem !== undefined) return problem;
    return this.#revocations.isRevoked(claims) ? "revoked" : claims;
  }

  /** As `check`, and fetches remote keys when they could make the difference. */
  async checkWithRemoteKeys(token: string): Promise<JsonObject | TokenRejection> {
    const outcome = this.check(token);
    const newKeys = this.newKeysFor(outcome);
    if (newKeys === undefined) return outcome;
    await newKeys;
    return this.check(token);
  }

  /** A fetch of remote keys that is worth waiting for, seen from the outcome of `check`. */
  newKeysFor(outcome: JsonObject | TokenRejection): Promise<void> | undefined {
    if (outcome !== "unknown_key" && outcome !== "keys_unavailable") return undefined;
    return this.#remoteKeys?.refresh();
  }

  /** What can have changed since a token was verified: the time, and whether it was revoked. */
  checkAgain(claims: RegisteredClaims): TokenRejection | undefined {
    return (
      this.#rules.checkTimes(claims, this.#clock.wallMs()) ??
      (this.#revocations.isRevoked(claims) ? "revoked" : undefined)
    );
  }
}

/** Media types are compared in any letter case and without `application/`: RFC 7515 section 4.1.9. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith("application/") && !lower.includes("/", 12) ? lower.slice(12) : lower;
}
