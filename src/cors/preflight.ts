import type { Exchange } from "../exchange.js";

/**
 * Whether a browser asks with this request what it may send (Fetch, "CORS-preflight request"). It comes
 * without cookies and tokens; anybody else can send the same.
 */
export function isPreflight(exchange: Exchange): boolean {
  return (
    exchange.method === "OPTIONS" &&
    exchange.header("access-control-request-method") !== undefined &&
    exchange.header("origin") !== undefined
  );
}
