import type { MiddlewareHandler } from "hono";
import { strictFunction } from "../../core/strict-calls.js";
import type { Passage } from "../../policy/passage.js";
import { admit } from "../../policy/pipeline.js";
import type { SecuredRequest } from "../../policy/request.js";
import { type RouteSecurityOptions, readMiddlewareSecurity } from "../../policy/route.js";
import { anotherPolicy, RouteAddition } from "../../policy/route-addition.js";
import type { Security } from "../../policy/security.js";
import { peerAddressOf } from "../fetch/peer-address.js";
import { errorResponse, refusalResponse } from "../fetch/response.js";
import { beginPassage, run } from "../fetch/run.js";
import { fieldsOf } from "../fields.js";
import { corsBehind, nothing } from "./cors-behind.js";

/** What the middleware puts into Hono's context: `context.get("claims")`. There is a session only when sessions are enabled. */
export interface CelloVariables extends SecuredRequest {}

/** Options of {@link cello}: a route's security options, and what the runtime does not tell. */
export interface CelloHonoOptions extends RouteSecurityOptions {
  /** The address at the other end of the socket, for runtimes that tell it in their own way. */
  readonly peerAddress?: ((request: Request, environment: unknown) => string | undefined) | undefined;
}

/**
 * The security layer as Hono middleware. Use it before everything else.
 *
 * @throws ConfigError when the options ask for a protection that is not enabled
 *
 * @example
 * ```ts
 * const app = new Hono<{ Variables: CelloVariables }>();
 * app.use(cello(security));
 * app.get("/me", (context) => context.json(context.get("claims")));
 * ```
 */
export const cello = strictFunction(
  "cello(security, options)",
  function cello(security: Security, options: CelloHonoOptions = {}): MiddlewareHandler<{ Variables: CelloVariables }> {
    const route = readMiddlewareSecurity(options, "cello()", ["peerAddress"]);
    const { policy } = security;
    const routePolicy = security.compileRoute(route);
    const addition = new RouteAddition(policy, route);
    const { peerAddress = (request: Request, environment: unknown) => peerAddressOf(request, [environment]) } = options;
    const middleware: MiddlewareHandler<{ Variables: CelloVariables }> = async (context, next) => {
      const { raw } = context.req;
      const corsOf = () => (raw.headers.has("origin") ? corsBehind(context, middleware) : undefined);
      const passed = passes.get(context);
      if (passed !== undefined) {
        if (passed.policy !== policy) throw anotherPolicy("cello");
        return answer({ passage: passed, addition, cors: corsOf() }, context, next);
      }
      const passage = beginPassage(policy, routePolicy, raw, [context.env], () => peerAddress(raw, context.env));
      passes.set(context, passage);
      const completed = await run(passage, async () => {
        const cors = routePolicy.cors === undefined ? corsOf() : undefined;
        await answer({ passage, addition: undefined, cors }, context, next);
        return context.res;
      });
      // Hono copies the old response's headers into a new one that is assigned over it.
      context.res = undefined;
      context.res = completed;
    };
    return middleware;
  },
);

export default cello;

type CelloContext = Parameters<MiddlewareHandler<{ Variables: CelloVariables }>>[0];

/** Which requests have passed a middleware in front. */
const passes = new WeakMap<CelloContext, Passage>();

/** A request on its way, and how it is decided. */
interface Way {
  readonly passage: Passage;
  /** What a middleware further on the way adds; `undefined` for the first. */
  readonly addition: RouteAddition | undefined;
  /** A middleware of Hono's that stands behind us and sets the fields of CORS. */
  readonly cors: MiddlewareHandler | undefined;
}

async function answer(
  { passage, addition, cors }: Way,
  context: CelloContext,
  next: () => Promise<void>,
): Promise<void> {
  try {
    if (addition === undefined && cors !== undefined && (await isAnsweredBy(cors, passage, context))) return;
    const denied = await (addition === undefined ? admit(passage) : addition.admit(passage));
    if (denied !== undefined) {
      await cors?.(context, nothing);
      context.res = refusalResponse(denied);
      return;
    }
    for (const name of fieldsOf(passage.policy, passage.limits !== undefined)) context.set(name, passage[name]);
    await next();
  } catch (error) {
    // Of what stands behind us Hono has answered every Error by now, with the application's `onError`; what is left
    // is a value that is none, or an `onError` that failed. Thrown on, it would leave the host with a bare 500.
    context.res = errorResponse(error);
  }
}

/** Has the middleware answer a preflight, before tokens and limits. What it does not answer is a request like others. */
async function isAnsweredBy(cors: MiddlewareHandler, passage: Passage, context: CelloContext): Promise<boolean> {
  const { preflights } = passage.policy;
  if (!preflights.includes(passage.view)) return false;
  const tooMany = passage.decided(preflights.refuse(passage.view));
  const answered = await cors(context, nothing);
  if (tooMany !== undefined) context.res = refusalResponse(tooMany);
  else if (answered instanceof Response) context.res = answered;
  else return false;
  return true;
}
