import type { Context, MiddlewareHandler } from "hono";

const NAMES = ["cors", "cors2"];

/**
 * Hono's own `cors` middleware, when it stands behind ours on the way of this request: it would never see
 * what we refuse, and preflights would need a token before they come to it.
 *
 * @param own our middleware
 */
export function corsBehind(context: Context, own: unknown): MiddlewareHandler | undefined {
  const routes: unknown = Reflect.get(context.req, "matchedRoutes");
  if (!Array.isArray(routes)) return undefined;
  let isBehind = false;
  for (const route of routes) {
    const handler: unknown = typeof route === "object" && route !== null ? Reflect.get(route, "handler") : undefined;
    if (isBehind && isMiddleware(handler) && NAMES.includes(handler.name)) return handler;
    isBehind ||= handler === own;
  }
  return undefined;
}

function isMiddleware(value: unknown): value is MiddlewareHandler {
  return typeof value === "function";
}

/** What the middleware goes on to when it is only to set its fields. */
export async function nothing(): Promise<void> {}
