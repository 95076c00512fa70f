import type { JwtClaims } from "../jwt/claim-rules.js";
import type { RateLimitState } from "../limits/verdict.js";
import type { Session } from "../session/session.js";

/** What the security layer adds to the request of every host: the fields that a handler reads. */
export interface SecuredRequest {
  /** The verified claims; `undefined` where no token was needed and none was sent. */
  readonly claims: JwtClaims | undefined;
  /** The raw token that was verified. */
  readonly token: string | undefined;
  /** The session of this client. */
  readonly session: Session;
  /** This response's CSP nonce, base64. */
  readonly cspNonce: string;
  /** The client's address, as `trustProxy` allows to know it. */
  readonly clientIp: string;
  /** The state of the tightest limit; `undefined` when no limit applied. */
  readonly rateLimit: RateLimitState | undefined;
}
