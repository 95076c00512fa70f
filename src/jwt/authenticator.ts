import type { EventHub, TokenRejection } from "../core/events.js";
import { deepFreeze, type JsonObject } from "../core/json.js";
import type { Refusal } from "../core/problem.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import type { Verifier } from "../jws/verifier.js";
import { BearerSource } from "./bearer.js";
import { hasRegisteredTypes, type JwtClaims } from "./claims.js";
import { type Jwt, tokenVerifierOf } from "./jwt.js";
import { readRoles, readScopes } from "./permissions.js";
import { insufficientScope, keysUnavailable, type TokenRefusals, tokenRefusals } from "./refusals.js";
import { SecondSight } from "./second-sight.js";
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

/** What is kept of a verified token, for all requests with it: everything but the token. */
class AcceptedClaims {
  readonly claims: JsonObject & JwtClaims;
  #scopes: ReadonlySet<string> | undefined;
  #roles: ReadonlySet<string> | undefined;

  constructor(claims: JsonObject & JwtClaims) {
    this.claims = claims;
  }

  get scopes(): ReadonlySet<string> {
    this.#scopes ??= readScopes(this.claims);
    return this.#scopes;
  }

  get roles(): ReadonlySet<string> {
    this.#roles ??= readRoles(this.claims);
    return this.#roles;
  }
}

/** Scopes and roles are read when a route asks for them: most do not. */
class AcceptedToken implements VerifiedToken {
  readonly claims: JwtClaims;
  readonly token: string;
  readonly #accepted: AcceptedClaims;

  constructor(token: string, accepted: AcceptedClaims) {
    this.claims = accepted.claims;
    this.token = token;
    this.#accepted = accepted;
  }

  get scopes(): ReadonlySet<string> {
    return this.#accepted.scopes;
  }

  get roles(): ReadonlySet<string> {
    return this.#accepted.roles;
  }
}

/** What came of a request's token: accepted, refused for a reason, or `undefined` when it had none. */
export type Authentication = VerifiedToken | TokenRejection | undefined;

/** The step of the pipeline that reads and verifies the token of a request. */
export class TokenAuthenticator implements TokenRefusals {
  /** For a request without a token: 401. */
  readonly missing: Refusal;
  /** For a refused token, whatever the cause: 401. */
  readonly invalid: Refusal;
  /** For the rejection `revocations_unavailable`: 503. */
  readonly revocationsUnavailable: Refusal;
  readonly #jwt: Jwt<object>;
  readonly #events: EventHub;
  readonly #source: BearerSource;
  readonly #verifier: TokenVerifier;
  readonly #remembered: SecondSight<AcceptedClaims> | undefined;
  /** The keys under which the remembered tokens were verified. */
  #keys: Verifier | undefined;

  constructor(jwt: Jwt<object>, events: EventHub) {
    const { config } = jwt;
    const refusals = tokenRefusals(config);
    this.missing = refusals.missing;
    this.invalid = refusals.invalid;
    this.revocationsUnavailable = refusals.revocationsUnavailable;
    this.#jwt = jwt;
    this.#events = events;
    this.#source = new BearerSource(config);
    this.#verifier = tokenVerifierOf(jwt);
    this.#remembered = config.cacheSize === 0 ? undefined : new SecondSight(config.cacheSize);
  }

  /** The answer to a token that was not accepted. */
  refusalOf(rejection: TokenRejection): Refusal {
    if (rejection === "keys_unavailable") return keysUnavailable(this.#verifier.retryAfter);
    return rejection === "revocations_unavailable" ? this.revocationsUnavailable : this.invalid;
  }

  /**
   * Reads and verifies the token of a request. A refusal is told to those who listen to
   * `token.rejected`.
   *
   * @returns a promise only when remote keys have to be fetched first, or the list of revoked tokens asked
   */
  authenticate(view: RequestView): Authentication | Promise<Authentication> {
    const presented = this.#source.read(view);
    if (presented === undefined) return undefined;
    if (typeof presented !== "string") return this.#reject(view, presented.rejection);
    const accepted = this.#recall(presented);
    if (accepted === undefined) return this.#verify(view, presented);
    const problem = this.#verifier.checkAgain(accepted.claims);
    if (problem === undefined) return new AcceptedToken(presented, accepted);
    const news = this.#verifier.newsFor(problem);
    if (news !== undefined) return this.#verifyWithNews(view, presented, news);
    // That says nothing of the token: it would have to be verified again when the list is back.
    if (problem !== "revocations_unavailable") this.#remembered?.forget(presented);
    return this.#reject(view, problem);
  }

  /** Whether the request carries the token's cookie, so that another site can forge it. */
  carriesCookie(view: RequestView): boolean {
    return this.#source.carriesCookie(view);
  }

  /** The answer to a token without the scopes or roles of a route: 403. Made at start-up. */
  insufficientScope(scopes: readonly string[], roles: readonly string[]): Refusal {
    return insufficientScope(this.#jwt.config, scopes, roles);
  }

  /** Tokens that were verified under keys which have changed since are verified again. */
  #recall(token: string): AcceptedClaims | undefined {
    const keys = this.#verifier.keys;
    if (keys === this.#keys) return this.#remembered?.recall(token);
    this.#keys = keys;
    this.#remembered?.clear();
    return undefined;
  }

  #verify(view: RequestView, token: string): Authentication | Promise<Authentication> {
    const outcome = this.#verifier.check(token);
    const news = this.#verifier.newsFor(outcome);
    // It is not remembered then: the next request does that.
    if (news !== undefined) return this.#verifyWithNews(view, token, news);
    const accepted = accept(outcome);
    if (typeof accepted === "string") return this.#reject(view, accepted);
    this.#remembered?.keep(token, accepted);
    return new AcceptedToken(token, accepted);
  }

  async #verifyWithNews(view: RequestView, token: string, news: Promise<boolean>): Promise<Authentication> {
    const accepted = accept(this.#verifier.check(token, await news));
    return typeof accepted === "string" ? this.#reject(view, accepted) : new AcceptedToken(token, accepted);
  }

  #reject(view: RequestView, reason: TokenRejection): TokenRejection {
    if (this.#events.has("token.rejected")) {
      this.#events.emit("token.rejected", { ...requestEvent(view), reason });
    }
    return reason;
  }
}

function accept(outcome: JsonObject | TokenRejection): AcceptedClaims | TokenRejection {
  if (typeof outcome === "string") return outcome;
  const claims: JsonObject = deepFreeze(outcome);
  return hasRegisteredTypes(claims) ? new AcceptedClaims(claims) : "claims";
}
