import type { EventHub, TokenRejection } from "../events.js";
import { type Exchange, requestEvent } from "../exchange.js";
import { deepFreeze, type JsonObject } from "../jws/json.js";
import type { Verifier } from "../jws/verifier.js";
import type { Refusal } from "../problem.js";
import { BearerSource } from "./bearer.js";
import { hasRegisteredTypes, type JwtClaims } from "./claims.js";
import { type Jwt, tokenVerifierOf } from "./jwt.js";
import { readRoles, readScopes } from "./permissions.js";
import { insufficientScope, type TokenRefusals, tokenRefusals } from "./refusals.js";
import { RememberedTokens } from "./remembered-tokens.js";
import type { TokenVerifier } from "./token-verifier.js";

/** A token that was accepted, and what it permits. */
export interface VerifiedToken {
  /** Deeply frozen: requests with the same token share them. */
  readonly claims: JwtClaims;
  /** The token as it was sent. */
  readonly token: string;
  /** From `scope`, `scp` and `scopes`. */
  readonly scopes: ReadonlySet<string>;
  /** From `roles`. */
  readonly roles: ReadonlySet<string>;
}

/** What is remembered of a verified token: everything but the token. */
interface Remembered {
  readonly claims: JsonObject & JwtClaims;
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
}

/** What came of a request's token: accepted, refused for a reason, or `undefined` when it had none. */
export type Authentication = VerifiedToken | TokenRejection | undefined;

/** The step of the pipeline that reads and verifies the token of a request. */
export class TokenAuthenticator implements TokenRefusals {
  /** For a request without a token: 401. */
  readonly missing: Refusal;
  /** For a refused token, whatever the cause: 401. */
  readonly invalid: Refusal;
  /** For the rejection `keys_unavailable`: 503. */
  readonly unavailable: Refusal;
  readonly #jwt: Jwt<object>;
  readonly #events: EventHub;
  readonly #source: BearerSource;
  readonly #verifier: TokenVerifier;
  readonly #remembered: RememberedTokens<Remembered> | undefined;
  /** The keys under which the remembered tokens were verified. */
  #keys: Verifier | undefined;

  constructor(jwt: Jwt<object>, events: EventHub) {
    const { config } = jwt;
    const refusals = tokenRefusals(config);
    this.missing = refusals.missing;
    this.invalid = refusals.invalid;
    this.unavailable = refusals.unavailable;
    this.#jwt = jwt;
    this.#events = events;
    this.#source = new BearerSource(config);
    this.#verifier = tokenVerifierOf(jwt);
    this.#remembered = config.cacheSize === 0 ? undefined : new RememberedTokens(config.cacheSize);
  }

  /**
   * Reads and verifies the token of a request. A refusal is told to those who listen to
   * `token.rejected`.
   *
   * @returns a promise only when remote keys have to be fetched first
   */
  authenticate(exchange: Exchange): Authentication | Promise<Authentication> {
    const presented = this.#source.read(exchange);
    if (presented === undefined) return undefined;
    if (typeof presented !== "string") return this.#reject(exchange, presented.rejection);
    if (this.#remembered === undefined) return this.#verify(exchange, presented, undefined);
    const key = RememberedTokens.keyOf(presented);
    const remembered = this.#recall(this.#remembered, key);
    if (remembered === undefined) return this.#verify(exchange, presented, key);
    const problem = this.#verifier.checkAgain(remembered.claims);
    if (problem === undefined) return verified(presented, remembered);
    this.#remembered.delete(key);
    return this.#reject(exchange, problem);
  }

  /** Whether the request carries the token's cookie, so that another site can forge it. */
  carriesCookie(exchange: Exchange): boolean {
    return this.#source.carriesCookie(exchange);
  }

  /** The answer to a token without the scopes or roles of a route: 403. Made at start-up. */
  insufficientScope(scopes: readonly string[], roles: readonly string[]): Refusal {
    return insufficientScope(this.#jwt.config, scopes, roles);
  }

  /** Tokens that were verified under keys which have changed since are verified again. */
  #recall(tokens: RememberedTokens<Remembered>, key: string): Remembered | undefined {
    const keys = this.#verifier.keys;
    if (keys === this.#keys) return tokens.get(key);
    this.#keys = keys;
    tokens.clear();
    return undefined;
  }

  #verify(exchange: Exchange, token: string, key: string | undefined): Authentication | Promise<Authentication> {
    const outcome = this.#verifier.check(token);
    const newKeys = this.#verifier.newKeysFor(outcome);
    if (newKeys === undefined) return this.#conclude(exchange, token, key, outcome);
    // Verified under new keys and not remembered yet: the next request does that.
    return newKeys.then(() => this.#conclude(exchange, token, undefined, this.#verifier.check(token)));
  }

  #conclude(
    exchange: Exchange,
    token: string,
    key: string | undefined,
    outcome: JsonObject | TokenRejection,
  ): VerifiedToken | TokenRejection {
    if (typeof outcome === "string") return this.#reject(exchange, outcome);
    const claims: JsonObject = deepFreeze(outcome);
    if (!hasRegisteredTypes(claims)) return this.#reject(exchange, "claims");
    const accepted = { claims, scopes: readScopes(claims), roles: readRoles(claims) };
    if (key !== undefined) this.#remembered?.set(key, accepted);
    return verified(token, accepted);
  }

  #reject(exchange: Exchange, reason: TokenRejection): TokenRejection {
    if (this.#events.has("token.rejected")) {
      this.#events.emit("token.rejected", { ...requestEvent(exchange), reason });
    }
    return reason;
  }
}

function verified(token: string, { claims, scopes, roles }: Remembered): VerifiedToken {
  return { claims, token, scopes, roles };
}
