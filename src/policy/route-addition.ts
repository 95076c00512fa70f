import { ConfigError } from "../core/errors.js";
import type { StepResult } from "../core/problem.js";
import type { RateLimiter } from "../limits/limiter.js";
import type { Passage } from "./passage.js";
import { admit, compileSteps } from "./pipeline.js";
import type { Policy } from "./policy.js";
import { compileRoute, hasGrants, type RoutePolicy, type RouteSecurity, UNKNOWN_PLACE } from "./route.js";

/**
 * What a route adds for requests that a middleware in front of it has let pass: its own limits, its scopes
 * and roles, its headers. Nothing is counted or verified again, and nothing that was closed is opened.
 */
export class RouteAddition {
  /** Names of limits that were counted in front and do not apply here: others of the route take their place. */
  readonly #replacedLimits: ReadonlySet<string> | "all";
  readonly #policy: Policy;
  readonly #route: RouteSecurity;
  readonly #own: RoutePolicy;
  readonly #byBase = new Map<RoutePolicy, RoutePolicy>();
  #hasWarned = false;

  /** @throws ConfigError when the route asks for something that is not enabled */
  constructor(policy: Policy, route: RouteSecurity) {
    this.#policy = policy;
    this.#route = route;
    this.#own = compileRoute(policy, route, UNKNOWN_PLACE);
    this.#replacedLimits =
      route.rateLimit === false ? "all" : new Set((route.rateLimit ?? []).map((limit) => limit.name));
  }

  /** Takes a request that was let pass in front through what the route adds, as {@link admit} does. */
  admit(passage: Passage): StepResult {
    passage.route = this.#over(passage.route);
    passage.limits = passage.limits?.without(this.#replacedLimits);
    return admit(passage);
  }

  /** The policy from here on, for requests that passed under another. */
  #over(base: RoutePolicy): RoutePolicy {
    const known = this.#byBase.get(base);
    if (known !== undefined) return known;
    this.#warnOfOpening(base);
    const policy = this.#compile(base);
    this.#byBase.set(base, policy);
    return policy;
  }

  #compile(base: RoutePolicy): RoutePolicy {
    const route = this.#route;
    const changesHead = route.securityHeaders !== undefined || route.cors !== undefined;
    const cors = changesHead ? this.#own.cors : base.cors;
    const limits = this.#ownLimits();
    // Asked for again only by a route that asks itself.
    const auth = route.auth !== undefined || hasGrants(route) ? this.#own.auth : false;
    const csrf = route.csrf === true ? "always" : "never";
    const { scopes, roles } = route;
    const rules = {
      meetsPreflights: false,
      cors,
      limits,
      auth,
      excludedPaths: undefined,
      csrf,
      scopes,
      roles,
    } as const;
    return Object.freeze({
      ...base,
      ...(changesHead ? fieldsOf(this.#own) : undefined),
      auth,
      csrf,
      hasLimits: limits.length > 0,
      steps: compileSteps(this.#policy, rules),
    } satisfies RoutePolicy);
  }

  #ownLimits(): readonly RateLimiter[] {
    const { rateLimit } = this.#route;
    if (rateLimit === undefined || rateLimit === false) return [];
    return this.#policy.rateLimits
      .forRoute(rateLimit, "behind a middleware")
      .filter(({ config }) => rateLimit.includes(config));
  }

  /** By the time that a request comes here, what stands in front has decided. */
  #warnOfOpening(base: RoutePolicy): void {
    const { auth, csrf } = this.#route;
    const field =
      auth === false && base.auth !== false ? "auth" : csrf === false && base.csrf !== "never" ? "csrf" : "";
    if (field === "" || this.#hasWarned) return;
    this.#hasWarned = true;
    const message =
      `a route says ${field}: false behind a cello() middleware that has checked the request already, so it opens nothing; ` +
      "give the middleware in front the option, or mount it behind this route";
    this.#policy.events.emit("config.warning", { code: "CELLO_ROUTE_OPENS_NOTHING", message });
  }
}

/** What decides about the fields of the answer. */
function fieldsOf({ headers, headerText, contestedFields, contestedBesideCookie, cors }: RoutePolicy) {
  return { headers, headerText, contestedFields, contestedBesideCookie, cors };
}

/** The error of a request that has passed under one policy and comes to the middleware of another. */
export function anotherPolicy(subject: string): ConfigError {
  return new ConfigError({
    code: "CELLO_CONFLICT",
    subject,
    problem: "two policies stand on the way of this request",
    mend: "make one Security, and give route options where it is mounted again",
  });
}
