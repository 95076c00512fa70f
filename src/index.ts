export { App, type AppOptions } from "./app/app.js";
export type { AppHandler, AppRequest, AppRoute, AppRouteOptions, AppTypes } from "./app/types.js";
export { type Clock, systemClock } from "./core/clock.js";
export {
  ConfigError,
  type ConfigErrorCode,
  type ConfigProblem,
  SessionTooLargeError,
  StoreUnavailableError,
} from "./core/errors.js";
export {
  EventHub,
  type RequestEvent,
  type SecurityEventListener,
  type SecurityEventName,
  type SecurityEvents,
  type SessionRejection,
  type StoreErrorCause,
  type StoreName,
  type TokenRejection,
} from "./core/events.js";
export { CorsConfig, type CorsOptions } from "./cors/config.js";
export { CsrfConfig, type CsrfOptions } from "./csrf/config.js";
export { SecurityHeadersConfig, type SecurityHeadersOptions } from "./headers/config.js";
export { CSP, type CspHashAlgorithm } from "./headers/csp/builder.js";
export type { CspFinding, CspSeverity } from "./headers/csp/findings.js";
export type { JwtClaims, RegisteredClaims } from "./jwt/claim-rules.js";
export { JwtConfig, type JwtOptions } from "./jwt/config.js";
export { TokenError } from "./jwt/errors.js";
export { Jwt, type SignOptions } from "./jwt/jwt.js";
export { MemoryReplayStore, type ReplayStore } from "./jwt/replay.js";
export { MemoryRevocationList, type RevocationList } from "./jwt/revocation.js";
export type { TokenStore } from "./jwt/token-store.js";
export type { AdaptiveRateLimitOptions, PlainRateLimitOptions, RateLimitOptions } from "./limits/config.js";
export { RateLimitConfig } from "./limits/config.js";
export { MemoryRateLimitStore } from "./limits/memory/store.js";
export type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "./limits/store.js";
export type { RateLimitState } from "./limits/verdict.js";
export type { RequestPriority } from "./overload/concurrency-gate.js";
export type { SecurityOptions } from "./policy/policy.js";
export type { SecuredRequest } from "./policy/request.js";
export type { RouteSecurityOptions } from "./policy/route.js";
export { Security } from "./policy/security.js";
export { SessionConfig, type SessionOptions } from "./session/config.js";
export type { JsonValue } from "./session/json.js";
export { MemorySessionStore } from "./session/memory-store.js";
export type { Session } from "./session/session.js";
export type { ListedSession, SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "./session/store.js";
export type { RevokeAllOptions, SessionSummary, UserSessions } from "./session/users.js";
