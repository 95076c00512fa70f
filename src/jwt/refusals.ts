import { type Refusal, refusal } from "../core/problem.js";
import type { JwtConfig } from "./config.js";

/** The answer to a request without a token: 401, and a challenge without an error code (RFC 6750 section 3). */
export function missingToken(config: JwtConfig): Refusal {
  return refusal({ type: "about:blank", title: "Unauthorized", status: 401, detail: "This resource needs a token." }, [
    "WWW-Authenticate",
    challengeScheme(config),
  ]);
}

/** The answer to a refused token, whatever the cause: 401. */
export function invalidToken(config: JwtConfig): Refusal {
  return refusal({ type: "about:blank", title: "Unauthorized", status: 401, detail: "The token is not accepted." }, [
    "WWW-Authenticate",
    `${challengeScheme(config)} error="invalid_token"`,
  ]);
}

const unavailableAnswers = new Map<number, Refusal>();

/**
 * The answer while keys or revocations are not to be had: 503. Each is made once: there are as many as the
 * longest wait has seconds.
 */
export function unavailable(retryAfterSeconds: number): Refusal {
  const made = unavailableAnswers.get(retryAfterSeconds) ?? makeUnavailable(retryAfterSeconds);
  unavailableAnswers.set(retryAfterSeconds, made);
  return made;
}

function makeUnavailable(retryAfterSeconds: number): Refusal {
  return refusal(
    {
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: "Tokens cannot be verified at the moment.",
    },
    ["Retry-After", String(retryAfterSeconds)],
  );
}

/**
 * The answer to a token that is good and not enough: 403 (RFC 6750 section 3.1). Made for each
 * route at start-up.
 *
 * @param scopes what the route needs; named in the challenge
 * @param roles what the route needs; not named, a client cannot ask for them
 */
export function insufficientScope(config: JwtConfig, scopes: readonly string[], roles: readonly string[]): Refusal {
  const scope = scopes.length === 0 ? "" : `, scope="${scopes.join(" ")}"`;
  const needed = scopes.length === 0 && roles.length > 0 ? "role" : "scope";
  return refusal(
    { type: "about:blank", title: "Forbidden", status: 403, detail: `The token does not have the needed ${needed}.` },
    ["WWW-Authenticate", `${challengeScheme(config)} error="insufficient_scope"${scope}`],
  );
}

/** A 401 has a challenge (RFC 9110 section 15.5.2): without a scheme of its own it is Bearer's. */
function challengeScheme(config: JwtConfig): string {
  return config.headerPrefix === "" ? "Bearer" : config.headerPrefix;
}
