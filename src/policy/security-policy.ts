import type { AddressCheck } from "../client/address-check.js";
import type { ClientAddressResolver } from "../client/client-address.js";
import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { Cors } from "../cors/cors.js";
import type { CsrfProtection } from "../csrf/decision.js";
import type { CompiledSecurityHeaders } from "../headers/compile.js";
import type { SecurityHeadersConfig } from "../headers/config.js";
import type { TokenAuthenticator } from "../jwt/authenticator.js";
import type { Jwt } from "../jwt/jwt.js";
import type { RateLimits } from "../limits/limits.js";
import type { LoadMonitor } from "../overload/load.js";
import type { SessionManager } from "../session/manager.js";
import type { PreflightBound } from "./preflight-bound.js";

/** The compiled parts of a policy, as the pipeline sees them; `undefined` is what was not enabled. */
export interface SecurityPolicy {
  readonly events: EventHub;
  readonly clock: Clock;
  /** Signs and verifies tokens. */
  readonly jwt: Jwt<object> | undefined;
  readonly authenticator: TokenAuthenticator | undefined;
  readonly sessions: SessionManager | undefined;
  /** Which pages of other origins may use the application; routes may have their own. */
  readonly cors: Cors | undefined;
  /** How many preflights a client may send. */
  readonly preflights: PreflightBound;
  readonly csrf: CsrfProtection;
  /** Whether the check for cross-site requests covers every request, those with a session or token cookie, or none. */
  readonly csrfScope: "always" | "with-cookie" | "never";
  readonly securityHeaders: SecurityHeadersConfig | undefined;
  /** The application's header fields, ready to be written; routes may have their own. */
  readonly headers: CompiledSecurityHeaders | undefined;
  readonly rateLimits: RateLimits;
  readonly clientAddresses: ClientAddressResolver;
  /** Warns when all clients are counted as one. */
  readonly addressCheck: AddressCheck;
  /** CPU, memory and latency; sampled when an adaptive limit asks. */
  readonly load: LoadMonitor;
}
