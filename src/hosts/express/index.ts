import type { IncomingMessage, ServerResponse } from "node:http";
import { ConfigError } from "../../core/errors.js";
import type { Refusal } from "../../core/problem.js";
import { strictFunction } from "../../core/strict-calls.js";
import { Passage } from "../../policy/passage.js";
import { admit } from "../../policy/pipeline.js";
import { type RouteSecurityOptions, readMiddlewareSecurity } from "../../policy/route.js";
import { anotherPolicy, RouteAddition } from "../../policy/route-addition.js";
import type { Security } from "../../policy/security.js";
import { fieldsOf } from "../fields.js";
import { guardResponse, passageOf, writeRefusal } from "../node/head.js";
import { hasHead } from "../node/response.js";
import { refuseWithoutHead } from "../node/upgrade.js";
import { NodeRequestView } from "../node/view.js";
import { nextRequestId } from "../request-id.js";
import { admitBesideCors, type CorsBehind, settle } from "../settle.js";
import { corsBehind } from "./cors-behind.js";
import type { RequestFieldsBesideOthers } from "./other-sessions.js";
import { addFields, attach, attachedTo } from "./request-fields.js";

export type { SecuredRequest as SecuredRequestFields } from "../../policy/request.js";
export { isSecured, type SecuredIncomingMessage } from "./request-fields.js";

declare global {
  namespace Express {
    interface Request extends RequestFieldsBesideOthers {}
  }
}

/** A Connect-style middleware: Express 4 and 5, Polka, Nest, or plain `node:http`. */
export type ConnectMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** What Connect and Express keep of the target that was asked for. */
interface ConnectRequest extends IncomingMessage {
  readonly originalUrl?: string;
  readonly baseUrl?: string;
}

/**
 * The security layer as Connect-style middleware. Use it before everything else, so that errors and
 * unknown paths carry the security headers too.
 *
 * Once more further on, with options, it adds to the pass that the first began: nothing is counted or verified twice.
 *
 * @param options what differs for the routes behind this middleware, as an `App`'s route options
 * @throws ConfigError when the options ask for a protection that is not enabled
 *
 * @example
 * ```ts
 * const app = express();
 * app.use(cello(security));
 * app.get("/me", (request, response) => response.json(request.claims));
 * ```
 */
export const cello = strictFunction(
  "cello(security, options)",
  function cello(security: Security, options: RouteSecurityOptions = {}): ConnectMiddleware {
    const route = readMiddlewareSecurity(options, "cello()");
    const { policy } = security;
    const routePolicy = security.compileRoute(route);
    const addition = new RouteAddition(policy, route);
    const fields = fieldsOf(policy, routePolicy.hasLimits);
    return (request, response, next) => {
      const isHeadless = !hasHead(response);
      const passed = isHeadless ? attachedTo(request) : passageOf(response);
      if (passed !== undefined) {
        if (passed.policy !== policy) return next(anotherPolicy("cello"));
        addFields(
          request,
          fields.filter((name) => !(name in request)),
        );
        if (attachedTo(request) === undefined) attach(request, passed);
        const cors = isHeadless || request.headers.origin === undefined ? undefined : corsBehind(request, response);
        return settle(addition.admit(passed), response, next, refuserOf(isHeadless ? passed : undefined, cors), next);
      }
      if (policy.sessions !== undefined && "session" in request) return next(sessionTaken());
      addFields(request, fields);
      const target = targetOf(request);
      const shown = target ?? request.url ?? "/";
      const view = new NodeRequestView(request, request, nextRequestId(), shown, policy.clientAddresses);
      const passage = new Passage(policy, routePolicy, view);
      passage.isPathKnown = target !== undefined;
      attach(request, passage);
      if (isHeadless) return admitWithoutHead(passage, response, next);
      guardResponse(request, response, passage);
      const asksCors = routePolicy.cors === undefined && request.headers.origin !== undefined;
      const cors = asksCors ? corsBehind(request, response) : undefined;
      if (cors === undefined) settle(admit(passage), response, next, writeRefusal, next);
      else admitBesideCors(passage, cors, response, { pass: next, refuse: writeRefusal, fail: next });
    };
  },
);

/**
 * How a middleware further on refuses.
 *
 * @param headless the passage, where the response only stands in for one
 * @param cors what sets the fields that the page hopes for
 */
function refuserOf(headless: Passage | undefined, cors: CorsBehind | undefined) {
  if (headless !== undefined) {
    return (response: ServerResponse, refusal: Refusal) => refuseWithoutHead(response, refusal, headless);
  }
  if (cors === undefined) return writeRefusal;
  return (response: ServerResponse, refusal: Refusal) => cors.setFields(() => writeRefusal(response, refusal));
}

/** What is answered to a request whose response only stands in for one is not ours to see: it is decided, and leaves. */
async function admitWithoutHead(
  passage: Passage,
  response: ServerResponse,
  next: (error?: unknown) => void,
): Promise<void> {
  let refusal: Refusal | undefined;
  try {
    refusal = await admit(passage);
  } catch (error) {
    next(error);
    return;
  } finally {
    passage.inFlight?.leave(true);
  }
  if (refusal === undefined) next();
  else refuseWithoutHead(response, refusal, passage);
}

export default cello;

function sessionTaken(): ConfigError {
  return new ConfigError({
    code: "CELLO_CONFLICT",
    subject: "cello",
    problem: "request.session is there already, from another middleware, and the policy has sessions too",
    mend: "use one of them: leave session out of the policy, or take the other middleware away",
  });
}

/**
 * The whole request target, as the router behind goes on to match it: a mount path may have been cut off,
 * and a middleware in front may have rewritten the rest.
 *
 * @returns `undefined` when it cannot be told how the router came by its target
 */
function targetOf({ url = "/", originalUrl = url, baseUrl }: ConnectRequest): string | undefined {
  if (originalUrl === url) return url;
  // Without `baseUrl`, as in Connect: what ends the same was cut off, or looks like it.
  if (baseUrl === undefined) return originalUrl.endsWith(url) ? originalUrl : undefined;
  // Express puts a slash where a mount path is all there is.
  const isCut = originalUrl === baseUrl + url || originalUrl === baseUrl + url.slice(1);
  return isCut ? originalUrl : baseUrl + url;
}
