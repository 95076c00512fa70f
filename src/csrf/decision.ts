import type { EventHub } from "../events.js";
import { type Exchange, requestEvent } from "../exchange.js";
import { type Refusal, refusal } from "../problem.js";
import type { CsrfConfig } from "./config.js";

/**
 * Refuses unsafe requests that a browser sends on behalf of another site (cross-site request
 * forgery), by what the browser itself says about where a request comes from. No tokens in forms.
 *
 * The steps are those of Go's `net/http.CrossOriginProtection`:
 *
 * 1. GET, HEAD and OPTIONS pass: they must not change anything anyway.
 * 2. `Sec-Fetch-Site` (every browser since 2023 sends it to trustworthy URLs) decides when present:
 *    `same-origin` and `none` (the user's own doing, such as a bookmark) pass.
 * 3. Without it and without `Origin`, the request is not from a browser, or from one too old to tell:
 *    it passes.
 * 4. Without `Sec-Fetch-Site`, an `Origin` whose host is the host that was asked for passes.
 * 5. Else only trusted origins pass. The origin `null` (sandboxed frames, redirects) never does.
 */
export class CsrfProtection {
  /** The answer to a refused request: 403. */
  readonly refusal: Refusal;
  readonly #trustedOrigins: ReadonlySet<string>;
  readonly #events: EventHub;

  constructor(config: CsrfConfig, events: EventHub) {
    this.#trustedOrigins = new Set(config.trustedOrigins);
    this.#events = events;
    this.refusal = refusal({
      type: "about:blank",
      title: "Forbidden",
      status: 403,
      detail: "The request came from another site.",
    });
  }

  /** Whether there is anything to check: safe methods pass, without a look at their cookies. */
  concerns(exchange: Exchange): boolean {
    return !isSafe(exchange.method);
  }

  /** Whether a request may go on; emits `csrf.rejected` when not. */
  allows(exchange: Exchange): boolean {
    if (!this.concerns(exchange)) return true;
    // An empty header says as little as none.
    const site = exchange.header("sec-fetch-site") || undefined;
    if (site === "same-origin" || site === "none") return true;
    const origin = exchange.header("origin") || undefined;
    if (site === undefined && (origin === undefined || hasHost(origin, exchange.host))) return true;
    if (origin !== undefined && this.#trustedOrigins.has(origin)) return true;
    if (this.#events.has("csrf.rejected")) {
      this.#events.emit("csrf.rejected", { ...requestEvent(exchange), origin, secFetchSite: site });
    }
    return false;
  }
}

/** RFC 9110 section 9.2.1, without TRACE, which no application answers. */
function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

/**
 * Whether an origin has the host and port that the client asked for.
 *
 * The scheme is not compared: behind a proxy the server does not surely know its own. A plain-HTTP page
 * of the same host passes here, which HSTS prevents; browsers that send `Sec-Fetch-Site` never get here.
 */
function hasHost(origin: string, host: string | undefined): boolean {
  const schemeEnd = origin.indexOf("://");
  if (schemeEnd === -1 || host === undefined || host === "") return false;
  return origin.slice(schemeEnd + 3).toLowerCase() === host.toLowerCase();
}
