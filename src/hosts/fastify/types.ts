import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
  RouteOptions,
} from "fastify";
import type { Passage } from "../../policy/passage.js";
import type { RoutePolicy, RouteSecurityOptions } from "../../policy/route.js";
import type { AskCors } from "./cors-plugin.js";
import type { RequestFieldsBesideOthers } from "./other-sessions.js";

/** Where a Fastify route keeps its {@link RegisteredRoute}: a route's `config` reaches its requests. */
export const kRoute = Symbol.for("cello.fastify.route");

/**
 * A route's protection: its options are checked when it is registered, and read when the policy is compiled,
 * because plugins set them too (`onRoute` hooks run after this one's).
 */
export interface RegisteredRoute {
  readonly options: RouteOptions;
  policy: RoutePolicy | undefined;
  /** The instance on which it was registered. */
  readonly instance: FastifyInstance;
  /** What `@fastify/cors` does to its requests, where that is registered. */
  askCors: AskCors | undefined;
}

/** Where a Fastify request keeps its {@link Passage}. */
export const kPassage = Symbol.for("cello.fastify.secured");

declare module "fastify" {
  interface FastifyRequest extends RequestFieldsBesideOthers {
    [kPassage]: Passage | undefined;
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
