import type { RequestView } from "../core/request-view.js";

/**
 * Whether a browser asks with this request what it may send (Fetch, "CORS-preflight request"). It comes
 * without cookies and tokens; anybody else can send the same.
 */
export function isPreflight(view: RequestView): boolean {
  return (
    view.method === "OPTIONS" &&
    view.header("access-control-request-method") !== undefined &&
    view.header("origin") !== undefined
  );
}
