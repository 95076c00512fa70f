import type { IncomingMessage, ServerResponse } from "node:http";
import type { CorsBehind } from "../settle.js";

/** Middleware that sets the fields of CORS, and answers OPTIONS or goes on. */
type CorsMiddleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => unknown;

/**
 * The `cors` middleware that the application uses for all paths, when it stands behind ours: it would never
 * see what we refuse, and preflights would need a token before they come to it.
 *
 * @returns `undefined` when there is none, and in hosts that are not Express
 */
export function corsBehind(request: IncomingMessage, response: ServerResponse): CorsBehind | undefined {
  const app = read(request, "app");
  // Express 4 throws where somebody asks for `router`, and Express 5 does not know `_router`.
  const router = read(app, "_router") ?? read(app, "router");
  const stack = read(router, "stack");
  if (!Array.isArray(stack)) return undefined;
  for (const layer of stack) {
    const handle = read(layer, "handle");
    if (isMiddleware(handle) && handle.name === "corsMiddleware" && isForAllPaths(layer)) {
      return {
        answer: (next) => handle(request, response, next),
        // It answers OPTIONS itself. For another method it sets what stands on every answer.
        setFields: (done) => handle(Object.create(request, { method: { value: "GET" } }), response, done),
      };
    }
  }
  return undefined;
}

/** How Express 5, and how Express 4 writes down that a layer is for every path. */
function isForAllPaths(layer: unknown): boolean {
  return read(layer, "slash") === true || read(read(layer, "regexp"), "fast_slash") === true;
}

function isMiddleware(value: unknown): value is CorsMiddleware {
  return typeof value === "function";
}

function read(value: unknown, name: string): unknown {
  const isReadable = typeof value === "function" || (typeof value === "object" && value !== null);
  return isReadable ? Reflect.get(value, name) : undefined;
}
