import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../core/clock.js";
import { ConfigError } from "../core/errors.js";
import { EventHub, type TokenRejection } from "../core/events.js";
import { isJsonObject, type JsonObject } from "../core/json.js";
import type { MaybePromise } from "../core/later.js";
import { describeKind, isBag } from "../core/options.js";
import { strictConstruction, strictMethods } from "../core/strict-calls.js";
import { encodeHeader } from "../jws/compact.js";
import { headerProblem, type JwsHeader } from "../jws/header.js";
import { writeJsonObject } from "../jws/json.js";
import type { PreparedKey } from "../jws/keys.js";
import { TokenChecks } from "./checks.js";
import { hasRegisteredTypes, type JwtClaims, type RegisteredClaims } from "./claim-rules.js";
import { JwtConfig, type JwtOptions, keysOf, listOf } from "./config.js";
import { type DecodedToken, decodeToken } from "./decode.js";
import { TokenError } from "./errors.js";
import { GuardedRevocations } from "./guarded-revocations.js";
import { RemoteKeys } from "./remote-keys.js";
import { MemoryReplayStore, type ReplayStore, SingleUse } from "./replay.js";
import { MemoryRevocationList, type RevocationList } from "./revocation.js";

/** What a `Jwt` may be given from outside. */
export interface JwtDependencies {
  readonly clock?: Clock | undefined;
  /** Where trouble with remote keys is reported. */
  readonly events?: EventHub | undefined;
  /** Default: those of the configuration's `store`, else a `MemoryRevocationList`. */
  readonly revocations?: RevocationList | undefined;
}

/** What `sign` may be told for one token. */
export interface SignOptions {
  /** Lifetime in seconds instead of the configured one. */
  readonly expiration?: number | undefined;
  /** `true`: adds a random `jti`, so that `revoke` can name the token. */
  readonly jti?: boolean | undefined;
  /** Further header parameters, for example `{ typ: "at+jwt" }`. `alg` cannot be changed. */
  readonly header?: Readonly<Record<string, unknown>> | undefined;
}

/** Revoked subjects are remembered at least so long, in seconds. */
const DAY = 86_400;

let checksOf: (jwt: Jwt<object>) => TokenChecks;

/**
 * Signs and verifies tokens (RFC 7519) as configured. Works without an app.
 *
 * `Claims` is what the application expects of its own tokens: a type for handlers, not a check.
 *
 * @example
 * const jwt = new Jwt({ secret: process.env.JWT_SECRET, expiration: 900 });
 * const token = jwt.sign({ sub: "u1", roles: ["admin"] });
 * jwt.verify(token).sub; // "u1"
 */
export class Jwt<Claims = JwtClaims> {
  readonly config: JwtConfig;
  readonly #clock: Clock;
  readonly #revocations: GuardedRevocations;
  readonly #singleUse: SingleUse;
  readonly #closeStores: () => Promise<void>;
  readonly #checks: TokenChecks;
  readonly #signingKey: PreparedKey | undefined;
  readonly #header: JwsHeader;
  readonly #headerSegment: string;
  /** The longest lifetime that `sign` gave, in seconds. */
  #longestLifetime: number;

  static {
    checksOf = (jwt) => jwt.#checks;
  }

  /** @throws ConfigError when the configuration cannot be used */
  constructor(config: JwtConfig | JwtOptions, dependencies: JwtDependencies = {}) {
    strictConstruction("new Jwt(config, { clock, events, revocations })", arguments);
    this.config = config instanceof JwtConfig ? config : new JwtConfig(config);
    this.#clock = dependencies.clock ?? systemClock;
    const { jwksUri, algorithm, typ, store, onStoreError, clockTolerance, expiration } = this.config;
    const events = dependencies.events ?? new EventHub();
    const clock = this.#clock;
    const list: RevocationList = dependencies.revocations ?? store?.revocations ?? new MemoryRevocationList({ clock });
    this.#revocations = new GuardedRevocations(list, onStoreError, events);
    const replay: ReplayStore | undefined = store === undefined ? new MemoryReplayStore({ clock }) : store.replay;
    this.#singleUse = new SingleUse(replay, clockTolerance, events);
    this.#closeStores = async () => {
      await list.close?.();
      await replay?.close?.();
      await store?.close?.();
    };
    this.#longestLifetime = expiration;
    const remote = jwksUri === undefined ? undefined : new RemoteKeys(this.config, jwksUri, this.#clock, events);
    this.#checks = new TokenChecks(this.config, remote, this.#revocations, this.#clock);
    [this.#signingKey] = keysOf(this.config);
    const kid = this.#signingKey?.kid;
    this.#header = { alg: algorithm, typ: typ ?? "JWT", ...(kid === undefined ? {} : { kid }) };
    this.#headerSegment = encodeHeader(this.#header);
    // Hosts without a moment before the first request find the list on its way.
    void this.#revocations.open();
  }

  /**
   * Waits until the store's list of revoked tokens is here, or cannot be waited for any longer; never
   * rejects. A Fastify host does this before it listens.
   */
  open(): Promise<void> {
    return this.#revocations.open();
  }

  /** Closes the store. A Fastify host does this when it closes. */
  close(): Promise<void> {
    return this.#closeStores();
  }

  /**
   * A signed token with these claims. `iat` and `exp` are set, and `iss` and `aud` as configured,
   * unless the claims have them. The claims are not changed.
   *
   * @throws ConfigError (`CELLO_CONFLICT`) when there is only a public key or a `jwksUri`
   * @throws TypeError when a registered claim has a wrong type, a string has half of a surrogate pair, or a
   *   header parameter cannot be used
   */
  sign(claims: Claims & RegisteredClaims, options: SignOptions = {}): string {
    const sign = this.#signingKey?.sign ?? this.#cannotSign();
    const payload = writeJsonObject(this.#completeClaims(claims, options));
    if (payload === undefined) {
      throw new TypeError("Jwt.sign: the claims have half of a surrogate pair in a string; see String.toWellFormed");
    }
    const segment = options.header === undefined ? this.#headerSegment : this.#headerWith(options.header);
    const signingInput = `${segment}.${Buffer.from(payload).toString("base64url")}`;
    return `${signingInput}.${sign(signingInput)}`;
  }

  /**
   * The claims of a good token.
   *
   * With a `jwksUri`, only keys that have been fetched already are used; see `verifyAsync`.
   *
   * @throws TokenError whose `code` says why the token is refused
   */
  verify(token: string): Claims {
    return accept<Claims>(this.#checks.check(token));
  }

  /**
   * As `verify`; with a `jwksUri` it waits for keys that have to be fetched first.
   *
   * @throws TokenError whose `code` says why the token is refused
   */
  async verifyAsync(token: string): Promise<Claims> {
    return accept<Claims>(await this.#checks.checkWithNews(token));
  }

  /**
   * What a token says, without verifying anything: never decide by it.
   *
   * @returns `undefined` when the text is not a token, or longer than `maxTokenLength`
   */
  decode(token: string): DecodedToken | undefined {
    if (typeof token !== "string" || token.length > this.config.maxTokenLength) return undefined;
    return decodeToken(token);
  }

  /**
   * Revokes one token, by its verified claims or by its `jti`: at once here, and within a second on
   * every machine that shares the configuration's `store`.
   *
   * Without an expiry (`exp` of the claims, or the second argument) it is remembered until newer
   * revocations need the room.
   *
   * @param expiresAt the token's `exp`, seconds since 1970
   * @returns a promise only with a store that is elsewhere. It is rejected with a
   *   `StoreUnavailableError` when the others could not be told: this process refuses the token all
   *   the same, and tells them when it can
   * @throws TypeError when the claims have no `jti` (`sign(claims, { jti: true })` adds one), for a token
   *   instead of its claims, which nobody would ever look for, and for a time span instead of `expiresAt`
   */
  revoke(token: RegisteredClaims | string, expiresAt?: number): MaybePromise<void> {
    const { jti, exp }: RegisteredClaims = typeof token === "string" ? { jti: token } : Object(token);
    if (typeof jti !== "string" || jti === "") {
      throw new TypeError("Jwt.revoke: the claims have no jti; sign with { jti: true }, or use revokeAll(sub)");
    }
    refuseRawToken("revoke", jti, "revoke(jwt.verify(token))");
    if (expiresAt !== undefined && !Number.isFinite(expiresAt)) {
      throw new TypeError("Jwt.revoke: expiresAt must be a number of seconds since 1970, as exp is");
    }
    if (expiresAt !== undefined && expiresAt < this.#clock.wallMs() / 2000) {
      throw new TypeError(
        `Jwt.revoke: expiresAt ${expiresAt} is long past, nothing would be revoked; give seconds since 1970, as exp is, and no time span`,
      );
    }
    const expiry = expiresAt ?? exp;
    return this.#revocations.revoke(jti, expiry === undefined ? undefined : expiry + this.config.clockTolerance);
  }

  /**
   * Revokes all tokens of a subject that were issued until now: after a new password, say.
   *
   * It is remembered for as long as tokens live: the longest of `expiration`, of what `sign` was told
   * and of what was seen in tokens, and a day at least.
   *
   * @returns as `revoke`
   */
  revokeAll(sub: string): MaybePromise<void> {
    if (typeof sub !== "string") throw new TypeError("Jwt.revokeAll: sub must be a string");
    refuseRawToken("revokeAll", sub, "revokeAll(jwt.verify(token).sub)");
    const lifetime = Math.max(DAY, this.#longestLifetime, this.#checks.longestLifetime) + this.config.clockTolerance;
    return this.#revocations.revokeAll(sub, this.#clock.wallMs(), lifetime);
  }

  /**
   * Marks a token as used, for tokens that are good once, such as those in a link of an e-mail.
   *
   * @param claims the verified claims of the token, with `jti` and `exp`
   * @returns `true` the first time, on whichever machine; `false` from then on
   * @throws (rejects with) TypeError when the claims have no `jti` or no `exp`; ConfigError
   *   (`CELLO_NOT_ENABLED`) when the configuration's `store` has no `replay`; StoreUnavailableError
   *   when the store cannot tell
   */
  async useOnce(claims: RegisteredClaims): Promise<boolean> {
    return this.#singleUse.claim(claims);
  }

  #completeClaims(claims: unknown, options: SignOptions): JsonObject {
    const given = requireClaims(claims);
    const { expiration = this.config.expiration } = options;
    if (!Number.isFinite(expiration)) throw new TypeError("Jwt.sign: expiration must be a number of seconds");
    const iat = given.iat ?? this.#issuedAt(given.sub);
    const exp = given.exp ?? iat + expiration;
    if (exp - iat > this.#longestLifetime) this.#longestLifetime = exp - iat;
    const complete: Record<string, unknown> = { ...given, iat, exp };
    complete.iss ??= listOf(this.config.issuer)[0];
    complete.aud ??= listOf(this.config.audience)[0];
    if (options.jti === true) complete.jti ??= randomUUID();
    return complete;
  }

  /**
   * Now, in whole seconds. Only when all tokens of the subject were revoked within this second it
   * has a fraction, which tells the new token (after a new sign-in) from those that were revoked.
   */
  #issuedAt(sub: string | undefined): number {
    const nowMs = this.#clock.wallMs();
    const seconds = Math.floor(nowMs / 1000);
    const revokedMs = sub === undefined ? undefined : this.#revocations.list.revokedUntilMs(sub);
    if (revokedMs === undefined || revokedMs < seconds * 1000) return seconds;
    return (Math.max(nowMs, Math.floor(revokedMs)) + 1) / 1000;
  }

  #headerWith(parameters: Readonly<Record<string, unknown>>): string {
    const header = { ...this.#header, ...parameters, alg: this.#header.alg };
    const problem = headerProblem(header) ?? (writeJsonObject(header) === undefined ? "malformed" : undefined);
    if (problem !== undefined) throw new TypeError(`Jwt.sign: the header parameters cannot be used (${problem})`);
    return encodeHeader(header);
  }

  #cannotSign(): never {
    const remote = this.config.jwksUri !== undefined;
    throw new ConfigError({
      code: "CELLO_CONFLICT",
      subject: "JwtConfig",
      field: remote ? "jwksUri" : "secret",
      problem: remote ? "its keys verify tokens and cannot sign them" : "the first key is public and cannot sign",
      mend: "give the private key as secret to sign tokens",
    });
  }
}

const ONCE = "issuer, audience, clockTolerance, algorithm and keys are set once, in JwtConfig";

strictMethods(Jwt, {
  sign: { takes: "claims, { expiration, jti, header }", hint: "expiration is a number of seconds" },
  verify: { takes: "token", hint: ONCE },
  verifyAsync: { takes: "token", hint: ONCE },
  decode: "token",
  revoke: "claims, expiresAt",
  revokeAll: "sub",
  useOnce: "claims",
  open: "",
  close: "",
});

/** The checks behind a `Jwt`, without its exceptions: for the step of this folder. */
export function tokenChecksOf(jwt: Jwt<object>): TokenChecks {
  return checksOf(jwt);
}

/** A token is no id: it would be remembered as one, and revoke nothing. */
function refuseRawToken(method: string, id: string, mend: string): void {
  if (decodeToken(id) !== undefined) {
    throw new TypeError(`Jwt.${method}: got a token, which nobody verified; write ${mend}`);
  }
}

function accept<Claims>(outcome: JsonObject | TokenRejection): Claims {
  if (typeof outcome === "string") throw new TokenError(outcome);
  // The application promises what its issuer writes: the type is taken from it, nothing is checked.
  return outcome as Claims;
}

function requireClaims(claims: unknown): JsonObject & RegisteredClaims {
  if (!isBag(claims) || !isJsonObject(claims)) {
    throw new TypeError(`Jwt.sign: claims must be an object, got ${describeKind(claims)}`);
  }
  if (hasRegisteredTypes(claims)) return claims;
  throw new TypeError("Jwt.sign: exp, nbf and iat must be finite numbers, iss, sub, jti and aud strings");
}
