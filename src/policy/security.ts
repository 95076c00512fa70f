import { AddressCheck } from "../client/address-check.js";
import { ClientAddressResolver } from "../client/client-address.js";
import { type Clock, readClock } from "../core/clock.js";
import { ConfigError, StoreUnavailableError } from "../core/errors.js";
import { EventHub, type SecurityEventListener, type SecurityEventName } from "../core/events.js";
import { config, configOf, describe, type Fields, integer, optional, type Readers, read } from "../core/options.js";
import { type Refusal, STORE_UNAVAILABLE, type StepResult } from "../core/problem.js";
import { strictConstruction, strictMethods } from "../core/strict-calls.js";
import { CorsConfig, type CorsOptions, PREFLIGHTS_PER_MINUTE } from "../cors/config.js";
import { Cors } from "../cors/cors.js";
import { isPreflight } from "../cors/preflight.js";
import { CsrfConfig, type CsrfOptions } from "../csrf/config.js";
import { CsrfProtection } from "../csrf/decision.js";
import { type CompiledSecurityHeaders, compileSecurityHeaders } from "../headers/compile.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "../headers/config.js";
import { TokenAuthenticator } from "../jwt/authenticator.js";
import { JwtConfig, type JwtOptions } from "../jwt/config.js";
import { Jwt } from "../jwt/jwt.js";
import { type PlainRateLimitOptions, type RateLimitConfig, readRateLimits } from "../limits/config.js";
import { RateLimits } from "../limits/limits.js";
import { giveBackNamed } from "../limits/step.js";
import { LoadMonitor } from "../overload/load.js";
import { SessionConfig, type SessionOptions } from "../session/config.js";
import { SessionManager } from "../session/manager.js";
import type { UserSessions } from "../session/user-sessions.js";
import type { SecuredRequest } from "./passage.js";
import { admit } from "./pipeline.js";
import { PreflightBound } from "./preflight-bound.js";
import {
  compileRoute,
  type RoutePlace,
  type RoutePolicy,
  type RouteSecurity,
  readRouteSecurity,
  UNKNOWN_PLACE,
} from "./route.js";
import type { RouteAddition } from "./route-addition.js";
import type { SecurityPolicy } from "./security-policy.js";
import { warnOfSharedSecret } from "./shared-secret.js";

/** What a {@link Security} is made of. Each protection is on when its field is given. */
export interface SecurityOptions {
  /** Token authentication; a ready `Jwt` when the application signs with it too. */
  readonly jwt?: JwtConfig | JwtOptions | Jwt<object> | undefined;
  readonly session?: SessionConfig | SessionOptions | undefined;
  readonly securityHeaders?: SecurityHeadersConfig | SecurityHeadersOptions | undefined;
  /** One limit or several with different names. */
  readonly rateLimit?:
    | RateLimitConfig
    | PlainRateLimitOptions
    | readonly (RateLimitConfig | PlainRateLimitOptions)[]
    | undefined;
  /** Which pages of other origins may use the application: answers preflights, and lets them read answers and refusals. */
  readonly cors?: CorsConfig | CorsOptions | undefined;
  /** Refuses cross-site requests that change something; requests with a session or token cookie are checked even without it. */
  readonly csrf?: CsrfConfig | CsrfOptions | undefined;
  /** Who may speak for the client in `X-Forwarded-For`: addresses, CIDR ranges, `"loopback"`. Default: nobody. */
  readonly trustProxy?: string | readonly string[] | false | undefined;
  /** IPv6 clients are counted by this prefix, in bits. Default: 64. */
  readonly ipv6Prefix?: number | undefined;
  /** Clocks other than the machine's, for tests. */
  readonly clock?: Clock | undefined;
  /** A hub that exists already, so that listeners can be added before the policy is compiled. */
  readonly events?: EventHub | undefined;
}

/** How the policy knows its clients and the time: what `App` and {@link Security} have in common. */
export const SURROUNDINGS = {
  trustProxy: (fields: Fields, name: string) =>
    new ClientAddressResolver(fields.given(name) as SecurityOptions["trustProxy"], fields.subject),
  ipv6Prefix: integer(32, 128, "bits", 64),
  clock: readClock,
};

const READERS = {
  // Not "truthy": null or false in a field is a mistake, and must not switch a protection off silently.
  jwt: optional(undefined, (_fields, _name, given) =>
    given instanceof Jwt ? (given as Jwt<object>) : configOf(JwtConfig, given as JwtConfig | JwtOptions),
  ),
  session: config(SessionConfig),
  securityHeaders: config(SecurityHeadersConfig),
  rateLimit: readRateLimits,
  cors: config(CorsConfig),
  csrf: config(CsrfConfig),
  ...SURROUNDINGS,
  events: readEvents,
} satisfies Readers<Record<keyof SecurityOptions, unknown>>;

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
export class Security implements SecurityPolicy {
  readonly events: EventHub;
  readonly clock: Clock;
  /** Signs and verifies tokens; `undefined` when JWT is not enabled. */
  readonly jwt: Jwt<object> | undefined;
  readonly authenticator: TokenAuthenticator | undefined;
  readonly sessions: SessionManager | undefined;
  /** Which pages of other origins may use the application; routes may have their own. */
  readonly cors: Cors | undefined;
  /** How many preflights a client may send. */
  readonly preflights: PreflightBound;
  readonly csrf: CsrfProtection;
  /** Whether the check for cross-site requests covers every request, those with a session or token cookie, or none. */
  readonly csrfScope: "always" | "with-cookie" | "never";
  readonly securityHeaders: SecurityHeadersConfig | undefined;
  /** The application's header fields, ready to be written; routes may have their own. */
  readonly headers: CompiledSecurityHeaders | undefined;
  readonly rateLimits: RateLimits;
  readonly clientAddresses: ClientAddressResolver;
  /** Warns when all clients are counted as one. */
  readonly addressCheck: AddressCheck;
  /** CPU, memory and latency; sampled when an adaptive limit asks. */
  readonly load: LoadMonitor;
  /** The policy of a path without a route. */
  readonly defaultRoute: RoutePolicy;

  constructor(options: SecurityOptions = {}) {
    strictConstruction("new Security(options)", arguments);
    const { jwt, session, cors, ...given } = read("Security", options, READERS);
    this.clock = given.clock;
    this.events = given.events;
    const shared = { clock: this.clock, events: this.events };

    this.jwt = jwt instanceof JwtConfig ? new Jwt(jwt, shared) : jwt;
    this.authenticator = this.jwt && new TokenAuthenticator(this.jwt, this.events);
    this.sessions = session && new SessionManager(session, shared);
    warnOfSharedSecret(this.jwt?.config, session, this.events);
    this.cors = cors && new Cors(cors);
    const { ipv6Prefix } = given;
    this.preflights = new PreflightBound(cors?.preflightsPerMinute ?? PREFLIGHTS_PER_MINUTE, { ...shared, ipv6Prefix });
    const hasCookies = this.sessions !== undefined || this.jwt?.config.cookieName !== undefined;
    this.csrf = new CsrfProtection(given.csrf ?? new CsrfConfig(), this.events);
    // Requests with a session or token cookie are checked even when nobody asked: without it they are open to CSRF.
    this.csrfScope = given.csrf !== undefined ? "always" : hasCookies ? "with-cookie" : "never";
    this.securityHeaders = given.securityHeaders;
    this.headers = this.securityHeaders && compileSecurityHeaders(this.securityHeaders);
    this.clientAddresses = given.trustProxy;
    this.addressCheck = new AddressCheck(this.clientAddresses, this.events, options.trustProxy);
    this.load = new LoadMonitor({ clock: this.clock });
    this.rateLimits = new RateLimits(given.rateLimit, { ...shared, load: this.load, ipv6Prefix });

    this.defaultRoute = this.compileRoute(readRouteSecurity({}, "without a path"));
    Object.freeze(this);
  }

  /**
   * The sessions of users, to be listed and revoked.
   *
   * @throws ConfigError when sessions are not enabled, or are sealed in cookies
   */
  get userSessions(): UserSessions {
    if (this.sessions === undefined) {
      throw new ConfigError({
        code: "CELLO_NOT_ENABLED",
        subject: "Security.userSessions",
        problem: "sessions are not enabled",
        mend: "give Security a session",
      });
    }
    if (this.sessions.users === undefined) {
      throw new ConfigError({
        code: "CELLO_CONFLICT",
        subject: "SessionConfig",
        field: "store",
        problem: "is not given, and nobody can list or revoke sessions that are sealed in cookies",
        mend: "give a store, such as MemorySessionStore or RedisStore",
      });
    }
    return this.sessions.users;
  }

  /** Closes the stores, and ends the watch of the load. */
  async close(): Promise<void> {
    this.load.stop();
    await this.sessions?.close();
    await this.rateLimits.close();
    await this.jwt?.close();
  }

  /**
   * Connects the stores and waits, not long, until what they keep in common is here. Never rejects;
   * without it the first requests may be refused, or counted in this process. `App` calls it before
   * it listens.
   */
  async open(): Promise<void> {
    const stores = new Set([this.sessions?.store, ...this.rateLimits.stores]);
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
    return compileRoute(this, route, place);
  }

  /** Takes a request through the pipeline; a store that does not answer is a refusal, not an error. */
  admit(request: SecuredRequest): StepResult {
    return this.#take(request);
  }

  /** Takes a request that has passed already through what a route on its way adds. */
  admitFurther(request: SecuredRequest, addition: RouteAddition): StepResult {
    request.route = addition.over(request.route);
    if (request.limits !== undefined) request.limits = giveBackNamed(request.limits, addition.replacedLimits);
    return this.#take(request);
  }

  #take(request: SecuredRequest): StepResult {
    try {
      const result = admit(request, request.route.steps);
      if (!(result instanceof Promise)) {
        if (result !== undefined) this.load.turns.noteRefusal();
        return request.decided(result);
      }
      return result.catch(refuseWithoutStore).then((refusal) => request.decided(refusal));
    } catch (error) {
      return request.decided(refuseWithoutStore(error));
    }
  }

  /** Whether a browser asks with this request what it may send, for somebody else in the host to answer. */
  isPreflight({ view }: SecuredRequest): boolean {
    return isPreflight(view);
  }

  /** Counts a preflight that somebody else in the host is to answer: the refusal, when its client has sent too many. */
  boundPreflight(request: SecuredRequest): Refusal | undefined {
    return request.decided(this.preflights.refuse(request.view));
  }

  /** Adds a listener for a security event. */
  on<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): this {
    this.events.on(name, listener);
    return this;
  }
}

function readEvents(fields: Fields, name: string): EventHub {
  const events = fields.given(name);
  if (events === undefined) return new EventHub();
  if (events instanceof EventHub) return events;
  return fields.wrongType(
    name,
    `is ${describe(events)}, not an EventHub`,
    "leave it out and use on(), or give an EventHub",
  );
}

function refuseWithoutStore(error: unknown): Refusal {
  if (error instanceof StoreUnavailableError) return STORE_UNAVAILABLE;
  throw error;
}

strictMethods(Security, { on: "event, listener", open: "", close: "" });
