import { ConfigError } from "../core/errors.js";
import type { EventHub, SecurityEventListener, SecurityEventName } from "../core/events.js";
import { strictConstruction, strictMethods } from "../core/strict-calls.js";
import type { Jwt } from "../jwt/jwt.js";
import type { RateLimits } from "../limits/limits.js";
import type { LoadMonitor } from "../overload/load.js";
import type { UserSessions } from "../session/users.js";
import { compilePolicy, type Policy, type SecurityOptions } from "./policy.js";
import {
  compileRoute,
  type RoutePlace,
  type RoutePolicy,
  type RouteSecurity,
  readRouteSecurity,
  UNKNOWN_PLACE,
} from "./route.js";

/**
 * The compiled security policy of an application: configurations in, one frozen object out that
 * every request of every host crosses.
 *
 * @throws ConfigError when a configuration cannot be used
 *
 * @example
 * ```ts
 * const security = new Security({
 *   jwt: { secret: process.env.JWT_SECRET! },
 *   rateLimit: RateLimitConfig.tokenBucket({ requests: 100, window: 60 }),
 * });
 * ```
 */
export class Security {
  readonly events: EventHub;
  /** Signs and verifies tokens; `undefined` when JWT is not enabled. */
  readonly jwt: Jwt<object> | undefined;
  readonly rateLimits: RateLimits;
  /** CPU, memory and latency; sampled when an adaptive limit asks. */
  readonly load: LoadMonitor;
  /** The compiled parts, for hosts. */
  readonly policy: Policy;
  /** The policy of a path without a route. */
  readonly defaultRoute: RoutePolicy;

  constructor(options: SecurityOptions = {}) {
    strictConstruction("new Security(options)", arguments);
    this.policy = compilePolicy(options);
    this.events = this.policy.events;
    this.jwt = this.policy.jwt;
    this.rateLimits = this.policy.rateLimits;
    this.load = this.policy.load;
    this.defaultRoute = this.compileRoute(readRouteSecurity({}, "without a path"));
    Object.freeze(this);
  }

  /**
   * The sessions of users, to be listed and revoked.
   *
   * @throws ConfigError when sessions are not enabled, or are sealed in cookies
   */
  get userSessions(): UserSessions {
    const { sessions } = this.policy;
    if (sessions === undefined) {
      throw new ConfigError({
        code: "CELLO_NOT_ENABLED",
        subject: "Security.userSessions",
        problem: "sessions are not enabled",
        mend: "give Security a session",
      });
    }
    if (sessions.users === undefined) {
      throw new ConfigError({
        code: "CELLO_CONFLICT",
        subject: "SessionConfig",
        field: "store",
        problem: "is not given, and nobody can list or revoke sessions that are sealed in cookies",
        mend: "give a store, such as MemorySessionStore or RedisStore",
      });
    }
    return sessions.users;
  }

  /** Closes the stores, and ends the watch of the load. */
  async close(): Promise<void> {
    this.load.stop();
    await this.policy.sessions?.close();
    await this.rateLimits.close();
    await this.jwt?.close();
  }

  /**
   * Connects the stores and waits, not long, until what they keep in common is here. Never rejects;
   * without it the first requests may be refused, or counted in this process. `App` calls it before
   * it listens.
   */
  async open(): Promise<void> {
    const stores = new Set([this.policy.sessions?.store, ...this.rateLimits.stores]);
    await Promise.allSettled([...stores].map(async (store) => store?.open?.()));
    await this.jwt?.open();
  }

  /**
   * Compiles the protection of one route; called when the route is registered.
   *
   * @param route the route's own options, checked by `readRouteSecurity`
   * @param place where the route stands; nowhere in particular when the host does not tell
   */
  compileRoute(route: RouteSecurity, place: RoutePlace = UNKNOWN_PLACE): RoutePolicy {
    return compileRoute(this.policy, route, place);
  }

  /** Adds a listener for a security event. */
  on<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): this {
    this.events.on(name, listener);
    return this;
  }
}

strictMethods(Security, { on: "event, listener", open: "", close: "" });
