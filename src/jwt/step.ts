import type { PathPatterns } from "../core/path-patterns.js";
import type { StepResult } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import type { AcceptedToken, Authentication, TokenAuthenticator } from "./authenticator.js";

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
