import { channel } from "node:diagnostics_channel";
import type { FastifyInstance, RouteOptions } from "fastify";

/** The hooks that are given the reply of a refusal. */
const REPLY_HOOKS = ["onSend", "onResponse"] as const;

/** The options of Fastify that switch logging on. */
export interface LogOptions {
  readonly logger?: unknown;
  readonly loggerInstance?: unknown;
  readonly logController?: unknown;
}

/**
 * Finds out whether anybody could see a refusal on its way through Fastify: a hook for replies, or a log.
 *
 * @param instance one that nobody has added a hook to yet, but those who wait for new instances; plugins
 *   get theirs through it, so `addHook` and the options of routes are the only other ways
 * @returns tells the answer, once all plugins are loaded
 */
export function watchReplies(instance: FastifyInstance, options: LogOptions): () => boolean {
  // Monitoring adds its hooks to every instance at the moment it is made.
  let isWatched = hasLog(options) || channel("fastify.initialization").hasSubscribers;
  const { addHook } = instance;
  const watching: FastifyInstance["addHook"] = function (this: FastifyInstance, ...rest: unknown[]) {
    isWatched ||= REPLY_HOOKS.some((name) => name === rest[0]);
    return Reflect.apply(addHook, this, rest);
  };
  instance.addHook = watching;
  const routes: RouteOptions[] = [];
  instance.addHook("onRoute", (route) => {
    routes.push(route);
  });
  // Looked at when asked: later `onRoute` hooks add hooks to the same options.
  return () => isWatched || routes.some(isRouteWatched);
}

/** Whether Fastify writes a log. */
export function hasLog({ logger, loggerInstance, logController }: LogOptions): boolean {
  return Boolean(logger || loggerInstance || logController);
}

function isRouteWatched(route: RouteOptions): boolean {
  return REPLY_HOOKS.some((name) => route[name] !== undefined && !isFastifysOwn(route[name]));
}

/** The hook of a route for HEAD that Fastify derives from one for GET: it takes away the body, as Node does. */
function isFastifysOwn(hook: unknown): boolean {
  return typeof hook === "function" && hook.name === "headRouteOnSendHandler";
}
