import type { EventHub, TokenRejection } from "../core/events.js";
import { deepFreeze, type JsonObject } from "../core/json.js";
import type { PathPatterns } from "../core/path-patterns.js";
import type { Refusal, StepResult } from "../core/problem.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import type { JwsVerifier } from "../jws/verifier.js";
import { BearerSource } from "./bearer.js";
import type { TokenChecks } from "./checks.js";
import { hasRegisteredTypes, type JwtClaims, readRoles, readScopes } from "./claim-rules.js";
import { type Jwt, tokenChecksOf } from "./jwt.js";
import { insufficientScope, invalidToken, missingToken, unavailable } from "./refusals.js";
import { SecondSight } from "./second-sight.js";

/** A token that was accepted, and what it permits. Requests with the same token share it. */
export class AcceptedToken {
  #scopes: ReadonlySet<string> | undefined;
  #roles: ReadonlySet<string> | undefined;

  constructor(
    /** The token as it was sent. */
    readonly token: string,
    /** Deeply frozen. */
    readonly claims: JsonObject & JwtClaims,
  ) {}

  /** From `scope`, `scp` and `scopes`; read when a route asks for them: most do not. */
  get scopes(): ReadonlySet<string> {
    this.#scopes ??= readScopes(this.claims);
    return this.#scopes;
  }

  /** From `roles`. */
  get roles(): ReadonlySet<string> {
    this.#roles ??= readRoles(this.claims);
    return this.#roles;
  }
}

/** What came of a request's token: accepted, refused for a reason, or `undefined` when it had none. */
export type Authentication = AcceptedToken | TokenRejection | undefined;

/** Reads and verifies the tokens of requests. */
export class TokenAuthenticator {
  /** For a request without a token: 401. */
  readonly missing: Refusal;
  readonly #invalid: Refusal;
  readonly #jwt: Jwt<object>;
  readonly #events: EventHub;
  readonly #source: BearerSource;
  readonly #checks: TokenChecks;
  readonly #remembered: SecondSight<AcceptedToken> | undefined;
  /** The keys under which the remembered tokens were verified. */
  #keys: JwsVerifier | undefined;

  constructor(jwt: Jwt<object>, events: EventHub) {
    const { config } = jwt;
    this.missing = missingToken(config);
    this.#invalid = invalidToken(config);
    this.#jwt = jwt;
    this.#events = events;
    this.#source = new BearerSource(config);
    this.#checks = tokenChecksOf(jwt);
    this.#remembered = config.cacheSize === 0 ? undefined : new SecondSight(config.cacheSize);
  }

  /** The answer to a token that was not accepted. */
  refusalOf(rejection: TokenRejection): Refusal {
    if (rejection === "keys_unavailable") return unavailable(this.#checks.retryAfter);
    // The list of revoked tokens is asked several times a second.
    return rejection === "revocations_unavailable" ? unavailable(1) : this.#invalid;
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
    const accepted = this.#checks.keys === this.#keys ? this.#remembered?.recall(presented) : undefined;
    if (accepted === undefined) return this.#verify(view, presented);
    const problem = this.#checks.checkAgain(accepted.claims);
    if (problem === undefined) return accepted;
    const news = this.#checks.newsFor(problem);
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

  #verify(view: RequestView, token: string): Authentication | Promise<Authentication> {
    const { keys } = this.#checks;
    // Tokens that were verified under keys which have changed since are verified again.
    if (keys !== this.#keys) this.#remembered?.clear();
    this.#keys = keys;
    const outcome = this.#checks.check(token);
    const news = this.#checks.newsFor(outcome);
    // It is not remembered then: the next request does that.
    if (news !== undefined) return this.#verifyWithNews(view, token, news);
    const accepted = accept(token, outcome);
    if (typeof accepted === "string") return this.#reject(view, accepted);
    this.#remembered?.keep(token, accepted);
    return accepted;
  }

  async #verifyWithNews(view: RequestView, token: string, news: Promise<boolean>): Promise<Authentication> {
    const accepted = accept(token, this.#checks.check(token, await news));
    return typeof accepted === "string" ? this.#reject(view, accepted) : accepted;
  }

  #reject(view: RequestView, reason: TokenRejection): TokenRejection {
    if (this.#events.has("token.rejected")) {
      this.#events.emit("token.rejected", { ...requestEvent(view), reason });
    }
    return reason;
  }
}

function accept(token: string, outcome: JsonObject | TokenRejection): AcceptedToken | TokenRejection {
  if (typeof outcome === "string") return outcome;
  const claims: JsonObject = deepFreeze(outcome);
  return hasRegisteredTypes(claims) ? new AcceptedToken(token, claims) : "claims";
}

/** What the steps for tokens read of a request on its way, and leave in it. */
export interface TokenPassage {
  readonly view: RequestView;
  /** The path that decides what is excluded; `undefined` when the router may see another. */
  readonly path: string | undefined;
  /** A preflight that somebody else is to answer: it needs no token. */
  readonly isPreflight: boolean;
  verified: AcceptedToken | undefined;
}

/**
 * The step that verifies the token of a request.
 *
 * @param auth `"optional"`: a request without a token passes, one with a bad token does not
 * @param excludedPaths paths whose tokens are not looked at, where the route alone does not decide that
 */
export function authenticate(
  tokens: TokenAuthenticator,
  auth: "required" | "optional",
  excludedPaths: PathPatterns | undefined,
): (passage: TokenPassage) => StepResult {
  const judge = (passage: TokenPassage, answer: Authentication) => {
    if (typeof answer === "object") passage.verified = answer;
    else if (answer !== undefined) return tokens.refusalOf(answer);
    else if (auth === "required" && !passage.isPreflight) return tokens.missing;
    return undefined;
  };
  return (passage) => {
    // A route behind a middleware that has verified it.
    if (passage.verified !== undefined) return undefined;
    if (excludedPaths !== undefined) {
      const { path } = passage;
      if (path !== undefined && excludedPaths.matches(path)) return undefined;
    }
    const answer = tokens.authenticate(passage.view);
    return answer instanceof Promise ? answer.then((settled) => judge(passage, settled)) : judge(passage, answer);
  };
}

/**
 * The step that asks what the token of a request permits.
 *
 * @param scopes of which the token must have all
 * @param roles of which it must have one, if there are any
 */
export function requireGrants(
  tokens: TokenAuthenticator,
  scopes: readonly string[],
  roles: readonly string[],
): (passage: TokenPassage) => StepResult {
  const insufficient = tokens.insufficientScope(scopes, roles);
  return ({ verified }) => {
    if (verified === undefined) return tokens.missing;
    const hasScopes = scopes.every((scope) => verified.scopes.has(scope));
    const hasRole = roles.length === 0 || roles.some((role) => verified.roles.has(role));
    return hasScopes && hasRole ? undefined : insufficient;
  };
}
