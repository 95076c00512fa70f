import type { EventHub } from "../core/events.js";
import { type Refusal, refusal } from "../core/problem.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import { isOriginOf } from "../origins/origin.js";
import { OriginList } from "../origins/origin-list.js";
import type { CsrfConfig } from "./config.js";

/** Origins that another feature allows, and whether their requests may carry cookies. */
export interface SharedOrigins {
  readonly origins: OriginList;
  readonly credentials: boolean;
}

/**
 * Refuses unsafe requests that a browser sends on behalf of another site (cross-site request
 * forgery), by what the browser itself says about where a request comes from. No tokens in forms.
 *
 * The steps are those of Go's `net/http.CrossOriginProtection`:
 *
 * 1. GET, HEAD and OPTIONS pass: they must not change anything anyway. Not so a GET that asks to go on with
 *    another protocol: a WebSocket is open to the page that opened it, and browsers let every page do that.
 * 2. `Sec-Fetch-Site` (every browser since 2023 sends it to trustworthy URLs) decides when present:
 *    `same-origin` and `none` (the user's own doing, such as a bookmark) pass.
 * 3. Without it and without `Origin`, the request is not from a browser, or from one too old to tell:
 *    it passes.
 * 4. Without `Sec-Fetch-Site`, an `Origin` whose host is the host that was asked for passes.
 * 5. Else only trusted origins pass: its own, and those that CORS allows. Where CORS allows them without
 *    credentials, they may not send a user's cookies here either. The origin `null` (sandboxed frames,
 *    redirects) never passes.
 */
export class CsrfProtection {
  readonly #refusal: Refusal;
  readonly #trusted: OriginList;
  readonly #events: EventHub;

  constructor(config: CsrfConfig, events: EventHub) {
    this.#trusted = new OriginList(config.trustedOrigins);
    this.#events = events;
    this.#refusal = refusal({
      type: "about:blank",
      title: "Forbidden",
      status: 403,
      detail: "The request came from another site.",
    });
  }

  /**
   * The step that refuses what a browser sends on behalf of another site; it emits `csrf.rejected`.
   *
   * @param when `"with-cookie"`: only requests with a cookie that signs a user in can be forged
   * @param carriesCookie whether a request has such a cookie
   * @param shared the origins that CORS allows where the request goes
   */
  step(
    when: "always" | "with-cookie",
    carriesCookie: (view: RequestView) => boolean,
    shared: SharedOrigins | undefined,
  ): (passage: { readonly view: RequestView }) => Refusal | undefined {
    return ({ view }) => {
      const { method } = view;
      // Safe (RFC 9110 section 9.2.1, without TRACE, which no application answers): no look at the cookies.
      const isSafe = method === "GET" || method === "HEAD" || method === "OPTIONS";
      if (isSafe && view.header("upgrade") === undefined) return undefined;
      const hasCookie = carriesCookie(view);
      if (!hasCookie && when === "with-cookie") return undefined;
      return this.#allows(view, hasCookie, shared) ? undefined : this.#refusal;
    };
  }

  #allows(view: RequestView, carriesCookie: boolean, shared: SharedOrigins | undefined): boolean {
    // An empty header says as little as none.
    const site = view.header("sec-fetch-site") || undefined;
    if (site === "same-origin" || site === "none") return true;
    const origin = view.header("origin") || undefined;
    if (site === undefined && (origin === undefined || isOwn(origin, view))) return true;
    if (origin !== undefined && this.#trusts(origin, carriesCookie, shared)) return true;
    if (this.#events.has("csrf.rejected")) {
      this.#events.emit("csrf.rejected", { ...requestEvent(view), origin, secFetchSite: site });
    }
    return false;
  }

  #trusts(origin: string, carriesCookie: boolean, shared: SharedOrigins | undefined): boolean {
    if (this.#trusted.find(origin) !== undefined) return true;
    if (shared === undefined || (carriesCookie && !shared.credentials)) return false;
    return shared.origins.find(origin) !== undefined;
  }
}

/**
 * Whether an origin is this server's own.
 *
 * The scheme is not compared: behind a proxy the server does not surely know its own. A plain-HTTP page
 * of the same host passes here, which HSTS prevents; browsers that send `Sec-Fetch-Site` never get here.
 */
function isOwn(origin: string, { host, forwardedPort }: RequestView): boolean {
  if (isOriginOf(origin, host)) return true;
  // A proxy may name the host and the port that it was asked for apart from each other.
  const isBare = host !== undefined && forwardedPort !== undefined && !/:\d*$/.test(host);
  return isBare && isOriginOf(origin, `${host}:${forwardedPort}`);
}
