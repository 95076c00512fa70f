import type {
  FastifyBaseLogger,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
} from "fastify";
import type { JwtClaims } from "../../jwt/claims.js";
import type { RateLimitState } from "../../rate-limit/step.js";
import type { RoutePlace, RoutePolicy, RouteSecurity, RouteSecurityOptions } from "../../route-policy.js";
import type { SecuredRequest } from "../../secured-request.js";
import type { Session } from "../../session/session.js";

/** Where a Fastify route keeps its {@link RegisteredRoute}: a route's `config` reaches its requests. */
export const kRoute = Symbol.for("cello.fastify.route");

/** A route's protection: read when it is registered, compiled when the policy is. */
export interface RegisteredRoute {
  readonly security: RouteSecurity;
  readonly place: RoutePlace;
  policy: RoutePolicy | undefined;
}

/** Where a Fastify request keeps its {@link SecuredRequest}. */
export const kSecured = Symbol.for("cello.fastify.secured");

declare module "fastify" {
  interface FastifyRequest {
    [kSecured]: SecuredRequest | undefined;
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

  interface FastifyContextConfig {
    [kRoute]?: RegisteredRoute;
  }

  // The type parameters must be those of Fastify's own declaration.
  interface RouteShorthandOptions<
    // biome-ignore-start lint/correctness/noUnusedVariables: see above
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = unknown,
    SchemaCompiler extends FastifySchema = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    // biome-ignore-end lint/correctness/noUnusedVariables: see above
  > extends RouteSecurityOptions {}
}
