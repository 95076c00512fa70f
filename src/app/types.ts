import type { FastifyReply, FastifyRequest, RouteGenericInterface, RouteShorthandOptions } from "fastify";
import type { JwtClaims } from "../jwt/claim-rules.js";
import type { SecuredRequest } from "../policy/request.js";
import type { RouteSecurityOptions } from "../policy/route.js";
import type { Session } from "../session/session.js";
// For what it declares: routes and plugins that are written against Fastify itself have our fields too.
import "../hosts/fastify/types.js";

/** What a handler's request carries; an application names its own shapes. */
export interface AppTypes {
  /** The claims of a verified token. */
  readonly claims?: object;
  /** What sessions hold. */
  readonly session?: object;
}

/** The claims of an application, `JwtClaims` unless it names its own. */
export type ClaimsOf<Types extends AppTypes> = Types extends { readonly claims: infer Claims extends object }
  ? Claims
  : JwtClaims;
/** The session of an application, with open records unless it names its own. */
export type SessionOf<Types extends AppTypes> = Types extends { readonly session: infer Data extends object }
  ? Session<Data>
  : Session;

/** A request as a handler of an `App` sees it: Fastify's, with typed claims and session. */
export type AppRequest<
  Types extends AppTypes = AppTypes,
  Claims = ClaimsOf<Types>,
  Route extends RouteGenericInterface = RouteGenericInterface,
> = Omit<FastifyRequest<Route>, keyof SecuredRequest> &
  Omit<SecuredRequest, "claims" | "session"> & {
    readonly claims: Claims;
    readonly session: SessionOf<Types>;
  };

/** A handler: what it returns, or the promise of it, is sent. */
export type AppHandler<
  Types extends AppTypes = AppTypes,
  Claims = ClaimsOf<Types>,
  Route extends RouteGenericInterface = RouteGenericInterface,
> = (request: AppRequest<Types, Claims, Route>, reply: FastifyReply) => unknown;

/** Options of a route: Fastify's and the security layer's. */
export type AppRouteOptions = RouteShorthandOptions & RouteSecurityOptions;

/** Adds a route for one method. Where a request may come without a token, its claims may be `undefined`. */
export interface AppRoute<Types extends AppTypes, Application> {
  <Route extends RouteGenericInterface = RouteGenericInterface>(
    path: string,
    handler: AppHandler<Types, ClaimsOf<Types>, Route>,
  ): Application;
  <Route extends RouteGenericInterface = RouteGenericInterface>(
    path: string,
    options: AppRouteOptions & { readonly auth?: "required" | undefined },
    handler: AppHandler<Types, ClaimsOf<Types>, Route>,
  ): Application;
  <Route extends RouteGenericInterface = RouteGenericInterface>(
    path: string,
    options: AppRouteOptions,
    handler: AppHandler<Types, ClaimsOf<Types> | undefined, Route>,
  ): Application;
}
