import type { IncomingMessage, ServerResponse } from "node:http";
import { ConfigError } from "../../core/errors.js";
import type { Refusal, StepResult } from "../../core/problem.js";
import { strictFunction } from "../../core/strict-calls.js";
import { SecuredRequest } from "../../policy/passage.js";
import { type RouteSecurityOptions, readMiddlewareSecurity } from "../../policy/route.js";
import { anotherPolicy, RouteAddition } from "../../policy/route-addition.js";
import type { Security } from "../../policy/security.js";
import { awaitBody } from "../awaited-body.js";
import { guardResponse, securedRequestOf, writeRefusal } from "../node/head.js";
import { refuseWithoutHead } from "../node/headless.js";
import { holdUntilSaved } from "../node/hold.js";
import { hasHead } from "../node/response.js";
import { NodeRequestView } from "../node/view.js";
import { leaveWithClient } from "../presence.js";
import { nextRequestId } from "../request-id.js";
import { type CorsMiddleware, corsBehind, setCorsFields } from "./cors-behind.js";
import type { RequestFieldsBesideOthers } from "./other-sessions.js";
import { addFields, attach, attachedTo, fieldsOf } from "./request-fields.js";

export type { SecuredRequestFields } from "../../policy/passage.js";
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
    const policy = security.compileRoute(route);
    const addition = new RouteAddition(security, route);
    const fields = fieldsOf(security, policy);
    const hasSessions = security.sessions !== undefined;
    return (request, response, next) => {
      const isHeadless = !hasHead(response);
      const passed = isHeadless ? attachedTo(request) : securedRequestOf(response);
      if (passed !== undefined) {
        if (passed.security !== security) return next(anotherPolicy("cello"));
        const missing = fields.filter(([name]) => !(name in request));
        addFields(request, missing);
        if (attachedTo(request) === undefined) attach(request, passed);
        if (isHeadless) {
          const refuse = (refusal: Refusal) => refuseWithoutHead(response, refusal, passed);
          return settle(security.admitFurther(passed, addition), refuse, next);
        }
        const cors = request.headers.origin === undefined ? undefined : corsBehind(request);
        const refuse = (refusal: Refusal) =>
          cors === undefined
            ? writeRefusal(response, refusal)
            : setCorsFields(cors, request, response, () => writeRefusal(response, refusal));
        return settle(security.admitFurther(passed, addition), refuse, next);
      }
      if (hasSessions && "session" in request) return next(sessionTaken());
      addFields(request, fields);
      const target = targetOf(request);
      const shown = target ?? request.url ?? "/";
      const view = new NodeRequestView(request, request, nextRequestId(), shown, security.clientAddresses);
      const secured = new SecuredRequest(security, policy, view);
      secured.isPathKnown = target !== undefined;
      attach(request, secured);
      if (isHeadless) return admitWithoutHead(security, secured, response, next);
      guardResponse(response, secured);
      leaveWithClient(request, secured);
      awaitBody(request, secured);
      holdUntilSaved(response, secured);
      const cors = policy.cors === undefined && request.headers.origin !== undefined ? corsBehind(request) : undefined;
      if (cors !== undefined) return admitBesideCors(security, secured, { cors, request, response, next });
      const result = security.admit(secured);
      if (result === undefined) next();
      else settle(result, (refusal) => writeRefusal(response, refusal), next);
    };
  },
);

/** A request whose page hopes for the fields of a middleware that stands behind us. */
interface CrossOrigin {
  readonly cors: CorsMiddleware;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly next: (error?: unknown) => void;
}

/** Has the middleware answer preflights before tokens and limits, and set its fields on refusals. */
function admitBesideCors(
  security: Security,
  secured: SecuredRequest,
  { cors, request, response, next }: CrossOrigin,
): void {
  const refuse = (refusal: Refusal) => setCorsFields(cors, request, response, () => writeRefusal(response, refusal));
  const admit = () => settle(security.admit(secured), refuse, next);
  const isPreflight = security.isPreflight(secured);
  const tooMany = isPreflight ? security.boundPreflight(secured) : undefined;
  if (tooMany !== undefined) refuse(tooMany);
  // What it does not answer is a request like others.
  else if (isPreflight) cors(request, response, admit);
  else admit();
}

/** Lets the request go on, or refuses it: now, or when a store has answered. */
function settle(result: StepResult, refuse: (refusal: Refusal) => void, next: (error?: unknown) => void): void {
  const act = (refusal: Refusal | undefined) => (refusal === undefined ? next() : refuse(refusal));
  if (result instanceof Promise) result.then(act, next);
  else act(result);
}

/** What is answered to a request whose response only stands in for one is not ours to see: it is decided, and leaves. */
async function admitWithoutHead(
  security: Security,
  secured: SecuredRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
): Promise<void> {
  let refusal: Refusal | undefined;
  try {
    refusal = await security.admit(secured);
  } catch (error) {
    next(error);
    return;
  } finally {
    secured.leave(true);
  }
  if (refusal === undefined) next();
  else refuseWithoutHead(response, refusal, secured);
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
