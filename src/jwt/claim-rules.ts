import type { TokenRejection } from "../core/events.js";
import type { JsonObject } from "../core/json.js";

/** The registered claims of RFC 7519 section 4.1. Times are seconds since 1970. */
export interface RegisteredClaims {
  /** Issuer. */
  readonly iss?: string | undefined;
  /** Subject: whom the token is about. */
  readonly sub?: string | undefined;
  /** Audience: for whom the token is. */
  readonly aud?: string | readonly string[] | undefined;
  /** Expiry: from this second on the token is refused. */
  readonly exp?: number | undefined;
  /** Before this second the token is refused. */
  readonly nbf?: number | undefined;
  /** When the token was issued. */
  readonly iat?: number | undefined;
  /** Id of the token. */
  readonly jti?: string | undefined;
}

/** The claims of a token when nothing more is known of them: the registered ones and any others. */
export interface JwtClaims extends RegisteredClaims {
  readonly [claim: string]: unknown;
}

/** What a token's claims are held against. Times are seconds. */
export interface ClaimExpectations {
  /** Issuers that are accepted; empty: any or none. */
  readonly issuers: readonly string[];
  /** Audiences, one of which the token must name; empty: any or none. */
  readonly audiences: readonly string[];
  /** Leeway for `exp` and `nbf`, and for `iat` beside the few seconds that it always has. */
  readonly clockTolerance: number;
  readonly requireExpiration: boolean;
}

/**
 * How far the issuer's clock may be ahead, in seconds. RFC 7519 refuses no token for its `iat`: ours is a
 * guard against dates that are plainly wrong, and must not hit the honest issuer on another machine.
 */
const CLOCK_DIFFERENCE = 5;

/** The rules for claims (RFC 7519 section 4.1, RFC 8725 sections 3.8 to 3.10). */
export class ClaimRules {
  readonly #issuers: readonly string[];
  readonly #audiences: readonly string[];
  readonly #tolerance: number;
  readonly #issueTolerance: number;
  readonly #requireExpiration: boolean;

  constructor(expectations: ClaimExpectations) {
    this.#issuers = expectations.issuers;
    this.#audiences = expectations.audiences;
    this.#tolerance = expectations.clockTolerance;
    this.#issueTolerance = expectations.clockTolerance + CLOCK_DIFFERENCE;
    this.#requireExpiration = expectations.requireExpiration;
  }

  /**
   * Why the claims of a token with a right signature are refused; `undefined` when they are not.
   *
   * @param nowMs wall clock, milliseconds since 1970
   */
  check(claims: JsonObject, nowMs: number): TokenRejection | undefined {
    if (!hasRegisteredTypes(claims)) return "claims";
    if (claims.exp === undefined && this.#requireExpiration) return "no_expiration";
    const late = this.checkTimes(claims, nowMs);
    if (late !== undefined) return late;
    if (this.#issuers.length > 0 && (claims.iss === undefined || !this.#issuers.includes(claims.iss))) return "issuer";
    if (this.#audiences.length > 0 && !this.#namesAudience(claims.aud)) return "audience";
    return undefined;
  }

  /** The part of the rules whose answer changes with time; asked again for a remembered token. */
  checkTimes(claims: RegisteredClaims, nowMs: number): TokenRejection | undefined {
    const now = nowMs / 1000;
    const { exp, nbf, iat } = claims;
    // "On or after" exp the token is not accepted: RFC 7519 section 4.1.4.
    if (exp !== undefined && now >= exp + this.#tolerance) return "expired";
    if (nbf !== undefined && now < nbf - this.#tolerance) return "not_yet_valid";
    // In whole seconds, as iat has them: a token issued in this second is not of the future.
    if (iat !== undefined && Math.floor(iat) - this.#issueTolerance > Math.floor(now)) return "issued_in_future";
    return undefined;
  }

  #namesAudience(audience: RegisteredClaims["aud"]): boolean {
    if (audience === undefined) return false;
    if (typeof audience === "string") return this.#audiences.includes(audience);
    return audience.some((entry) => this.#audiences.includes(entry));
  }
}

/** Whether every registered claim that is there has the type of RFC 7519 section 4.1. */
export function hasRegisteredTypes(claims: JsonObject): claims is JsonObject & RegisteredClaims {
  return (
    isOptionalNumber(claims.exp) &&
    isOptionalNumber(claims.nbf) &&
    isOptionalNumber(claims.iat) &&
    isOptionalString(claims.sub) &&
    isOptionalString(claims.iss) &&
    isOptionalString(claims.jti) &&
    isOptionalAudience(claims.aud)
  );
}

/** Number.isFinite refuses strings, and what JSON makes of 1e400. */
function isOptionalNumber(value: unknown): boolean {
  return value === undefined || Number.isFinite(value);
}

function isOptionalString(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isOptionalAudience(value: unknown): boolean {
  if (isOptionalString(value)) return true;
  return Array.isArray(value) && value.every((entry) => typeof entry === "string");
}

const NONE: ReadonlySet<string> = new Set();

/**
 * The scopes of a token: `scope` (RFC 8693 section 4.2, RFC 9068) or what other issuers call it,
 * `scp` and `scopes`; each a list, or text with spaces between.
 */
export function readScopes(claims: JsonObject): ReadonlySet<string> {
  const { scope, scp, scopes } = claims;
  if (scope === undefined && scp === undefined && scopes === undefined) return NONE;
  return new Set([...words(scope), ...words(scp), ...words(scopes)]);
}

/** The roles of a token: `roles`, a list or one role (RFC 9068 section 2.2.3.1). */
export function readRoles(claims: JsonObject): ReadonlySet<string> {
  const { roles } = claims;
  if (typeof roles === "string") return new Set([roles]);
  return Array.isArray(roles) ? new Set(roles.filter(isText)) : NONE;
}

function words(value: unknown): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  return Array.isArray(value) ? value.filter(isText) : [];
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
