import type { MiddlewareHandler } from "hono";
import { strictFunction } from "../../core/strict-calls.js";
import { SecuredRequest, type SecuredRequestFields } from "../../policy/passage.js";
import { type RouteSecurityOptions, readMiddlewareSecurity } from "../../policy/route.js";
import { anotherPolicy, RouteAddition } from "../../policy/route-addition.js";
import type { Security } from "../../policy/security.js";
import { incomingOf, leaveWithFetchClient } from "../fetch/client-presence.js";
import { peerAddressOf } from "../fetch/peer-address.js";
import { completeResponse, errorResponse, refusalResponse } from "../fetch/response.js";
import { FetchRequestView } from "../fetch/view.js";
import { corsBehind, nothing } from "./cors-behind.js";

/** What the middleware puts into Hono's context: `context.get("claims")`. There is a session only when sessions are enabled. */
export interface CelloVariables extends SecuredRequestFields {}

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
    const policy = security.compileRoute(route);
    const addition = new RouteAddition(security, route);
    const { peerAddress = (request: Request, environment: unknown) => peerAddressOf(request, [environment]) } = options;
    const middleware: MiddlewareHandler<{ Variables: CelloVariables }> = async (context, next) => {
      const passed = passes.get(context);
      if (passed !== undefined) {
        if (passed.security !== security) throw anotherPolicy("cello");
        const cors = context.req.raw.headers.has("origin") ? corsBehind(context, middleware) : undefined;
        return answer({ security, secured: passed, addition, cors }, context, next);
      }
      const { raw } = context.req;
      const incoming = incomingOf([context.env]);
      const askPeer = () => peerAddress(raw, context.env);
      const view = new FetchRequestView(raw, askPeer, security.clientAddresses, incoming);
      const secured = new SecuredRequest(security, policy, view);
      passes.set(context, secured);
      leaveWithFetchClient(raw, incoming, secured);
      try {
        const hasOrigin = policy.cors === undefined && raw.headers.has("origin");
        const cors = hasOrigin ? corsBehind(context, middleware) : undefined;
        await answer({ security, secured, addition: undefined, cors }, context, next);
        const completed = await completeResponse(context.res, secured);
        // Hono copies the old response's headers into a new one that is assigned over it.
        context.res = undefined;
        context.res = completed;
      } finally {
        secured.leave(false);
      }
    };
    return middleware;
  },
);

export default cello;

type CelloContext = Parameters<MiddlewareHandler<{ Variables: CelloVariables }>>[0];

/** Which requests have passed a middleware in front. */
const passes = new WeakMap<CelloContext, SecuredRequest>();

/** A request on its way, and how it is decided. */
interface Way {
  readonly security: Security;
  readonly secured: SecuredRequest;
  /** What a middleware further on the way adds; `undefined` for the first. */
  readonly addition: RouteAddition | undefined;
  /** A middleware of Hono's that stands behind us and sets the fields of CORS. */
  readonly cors: MiddlewareHandler | undefined;
}

async function answer(
  { security, secured, addition, cors }: Way,
  context: CelloContext,
  next: () => Promise<void>,
): Promise<void> {
  try {
    if (addition === undefined && cors !== undefined) {
      if (await isAnsweredBy(cors, security, secured, context)) return;
    }
    const denied = await (addition === undefined ? security.admit(secured) : security.admitFurther(secured, addition));
    if (denied !== undefined) {
      await cors?.(context, nothing);
      context.res = refusalResponse(denied);
      return;
    }
    setVariables(context, secured);
  } catch (error) {
    context.res = errorResponse(error);
    return;
  }
  try {
    await next();
  } catch (error) {
    // Hono has answered every Error by now, with the application's `onError`; what is left is a value that is
    // none, or an `onError` that failed. Thrown on, it would leave the host with a bare 500.
    context.res = errorResponse(error);
  }
}

/** Has the middleware answer a preflight, before tokens and limits. What it does not answer is a request like others. */
async function isAnsweredBy(
  cors: MiddlewareHandler,
  security: Security,
  secured: SecuredRequest,
  context: CelloContext,
): Promise<boolean> {
  if (!security.isPreflight(secured)) return false;
  const tooMany = security.boundPreflight(secured);
  const answered = await cors(context, nothing);
  if (tooMany !== undefined) context.res = refusalResponse(tooMany);
  else if (answered instanceof Response) context.res = answered;
  else return false;
  return true;
}

function setVariables(context: CelloContext, secured: SecuredRequest) {
  // What is off sets nothing: another middleware may have a variable of that name.
  if (secured.security.authenticator !== undefined) {
    context.set("claims", secured.claims);
    context.set("token", secured.token);
  }
  if (secured.security.sessions !== undefined) context.set("session", secured.session);
  context.set("cspNonce", secured.cspNonce);
  context.set("clientIp", secured.clientIp);
  if (secured.limits !== undefined) context.set("rateLimit", secured.rateLimit);
}
