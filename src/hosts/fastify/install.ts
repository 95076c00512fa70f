import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { type Refusal, refusal } from "../../core/problem.js";
import { Passage } from "../../policy/passage.js";
import { admit } from "../../policy/pipeline.js";
import { type RoutePlace, type RoutePolicy, readRouteSecurity } from "../../policy/route.js";
import type { Security } from "../../policy/security.js";
import { guardResponse, writeRefusal } from "../node/head.js";
import { NodeRequestView } from "../node/view.js";
import { admitBesideCors, settle } from "../settle.js";
import { type AskCors, behindPlugin, CorsPluginHooks } from "./cors-plugin.js";
import { logSecurityEvents } from "./event-log.js";
import { kPassage, kRoute, type RegisteredRoute } from "./types.js";

const CLOSING: Refusal = refusal({ type: "about:blank", title: "Service Unavailable", status: 503 });

const NO_HOST: Refusal = refusal({
  type: "about:blank",
  title: "Bad Request",
  status: 400,
  detail: "The request does not name its host.",
});

/** A path that the router does not know: what answers a preflight there is a hook, as that of a CORS plugin. */
const UNKNOWN_PATH: RoutePlace = { pattern: undefined, isForOptionsOnly: true, isDecoded: false };

/**
 * Puts the pipeline into a Fastify instance: in front of every hook that is added later, and around
 * every response, those of unknown paths and of errors included.
 *
 * @param compile gives the policy; called once, when Fastify is ready
 * @param isWatched whether hooks or logs look at replies; asked when Fastify is ready
 */
export function installSecurity(
  fastify: FastifyInstance,
  compile: () => Security,
  isWatched: () => boolean = () => true,
): void {
  const routes: RegisteredRoute[] = [];
  let installed: Security | undefined;
  let unknownPath: RoutePolicy | undefined;
  let isClosing = false;
  let answer = refuse;
  const corsHooks = new CorsPluginHooks(fastify);
  let askCorsOfUnknownPath: AskCors | undefined;

  fastify.decorateRequest(kPassage, undefined);
  fastify.addHook("onRoute", function (options) {
    const route = registerRoute(options, this);
    // A mistake is an error of the line that makes it; what later hooks make of the route is read when all is loaded.
    const security = readRouteSecurity(options, nameOf(options));
    if (installed === undefined) routes.push(route);
    else installed.compileRoute(security, placeOf(options));
    whenCorsIsSet(options, () => addPreflightRoute(this, options));
  });
  fastify.addHook("onReady", async () => {
    const security = compile();
    for (const route of routes) {
      compilePolicy(security, route);
      route.askCors = corsHooks.of(route.instance);
    }
    askCorsOfUnknownPath = corsHooks.of(fastify);
    unknownPath = security.compileRoute(readRouteSecurity({}, "unknown"), UNKNOWN_PATH);
    logSecurityEvents(fastify.log, security.events);
    // Where nobody looks, the detour through Fastify's reply would be most of what a refusal costs.
    if (!isWatched()) answer = (reply, refused) => writeRefusal(reply.raw, refused);
    installed = security;
    await security.open();
  });
  fastify.addHook("preClose", (done) => {
    isClosing = true;
    done();
  });
  fastify.addHook("onClose", async () => {
    await installed?.close();
  });
  fastify.addHook("onRequest", (request, reply, done) => {
    const security = installed ?? compile();
    const route = request.routeOptions.config[kRoute];
    const policy =
      route === undefined ? (unknownPath ?? security.defaultRoute) : (route.policy ?? compilePolicy(security, route));
    const passage = secure(security, policy, request, reply);
    const { raw } = request;
    // HTTP/1.1 must name its host (RFC 9112 section 3.2); 1.0 need not, and 2 has another field.
    const lacksHost = raw.headers.host === undefined && raw.httpVersion === "1.1";
    const refused = isClosing ? passage.decided(CLOSING) : lacksHost ? passage.decided(NO_HOST) : undefined;
    const askCors = route === undefined ? askCorsOfUnknownPath : route.askCors;
    if (askCors !== undefined && passage.route.cors === undefined && request.headers.origin !== undefined) {
      const cors = behindPlugin(askCors, request, reply);
      return admitBesideCors(passage, cors, reply, { pass: done, refuse, fail: done }, refused);
    }
    settle(refused ?? admit(passage), reply, done, answer, done);
  });
}

/** Calls at once for a route that has its own CORS, and else when another hook sets it. */
function whenCorsIsSet(options: RouteOptions, act: () => void): void {
  let { cors } = options;
  if (cors !== undefined) {
    act();
    return;
  }
  Object.defineProperty(options, "cors", {
    configurable: true,
    enumerable: true,
    get: () => cors,
    set: (given: RouteOptions["cors"]) => {
      cors = given;
      act();
    },
  });
}

/** A route that has its own CORS has its own preflights: they come to its path, with another method. */
function addPreflightRoute(fastify: FastifyInstance, options: RouteOptions & { routePath: string }): void {
  const { cors, url } = options;
  const methods = [options.method].flat();
  if (cors === undefined || methods.includes("OPTIONS") || fastify.hasRoute({ method: "OPTIONS", url })) return;
  fastify.route({
    method: "OPTIONS",
    url: options.routePath,
    cors,
    handler: (_request, reply) => reply.callNotFound(),
  });
}

/** Ties a Fastify request, its response and the policy together. */
export function secure(security: Security, policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): Passage {
  const { raw } = request;
  const view = new NodeRequestView(raw, request, request.id, raw.url ?? "/", security.policy.clientAddresses);
  const passage = new Passage(security.policy, policy, view);
  request[kPassage] = passage;
  guardResponse(raw, reply.raw, passage);
  return passage;
}

/** Answers with a prepared refusal, through Fastify, so that its hooks and logs see it. */
export function refuse(reply: FastifyReply, refusal: Refusal): void {
  writeOnto(reply, refusal);
  reply.send(refusal.body);
}

/** Puts status and fields of a refusal onto a reply whose body is the refusal's. */
export function writeOnto(reply: FastifyReply, { status, headers }: Refusal): void {
  // The body is text already. With a serializer of its own, Fastify leaves the media type as it is.
  reply.code(status).serializer(asItIs);
  for (let index = 0; index < headers.length; index += 2) reply.header(headers[index] ?? "", headers[index + 1]);
}

/** The serializer of what is serialized already. */
export function asItIs(payload: string): string {
  return payload;
}

function registerRoute(options: RouteOptions, instance: FastifyInstance): RegisteredRoute {
  const route: RegisteredRoute = { options, policy: undefined, instance, askCors: undefined };
  // Copies: the same config object may be given to several routes, and a later hook may put in another.
  let config = { ...options.config, [kRoute]: route };
  Object.defineProperty(options, "config", {
    configurable: true,
    enumerable: true,
    get: () => config,
    set: (given: RouteOptions["config"]) => {
      config = { ...given, [kRoute]: route };
    },
  });
  return route;
}

/** The policy of a route, compiled when it is first asked for: then all who set options have done so. */
function compilePolicy(security: Security, route: RegisteredRoute): RoutePolicy {
  const { options } = route;
  route.policy ??= security.compileRoute(readRouteSecurity(options, nameOf(options)), placeOf(options));
  return route.policy;
}

function nameOf({ method, url }: RouteOptions): string {
  return `${Array.isArray(method) ? method.join(",") : method} ${url}`;
}

function placeOf({ method, url }: RouteOptions): RoutePlace {
  return { pattern: url, isForOptionsOnly: String(method) === "OPTIONS", isDecoded: true };
}
