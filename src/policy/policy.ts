import { AddressCheck } from "../client/address-check.js";
import { ClientAddressResolver } from "../client/client-address.js";
import { type Clock, readClock } from "../core/clock.js";
import { EventHub } from "../core/events.js";
import { config, configOf, describe, type Fields, integer, optional, type Readers, read } from "../core/options.js";
import { CorsConfig, type CorsOptions, PREFLIGHTS_PER_MINUTE } from "../cors/config.js";
import { Cors } from "../cors/cors.js";
import { CsrfConfig, type CsrfOptions } from "../csrf/config.js";
import { CsrfProtection } from "../csrf/step.js";
import { compileSecurityHeaders } from "../headers/compile.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "../headers/config.js";
import { JwtConfig, type JwtOptions } from "../jwt/config.js";
import { Jwt } from "../jwt/jwt.js";
import { TokenAuthenticator } from "../jwt/step.js";
import { type PlainRateLimitOptions, type RateLimitConfig, readRateLimits } from "../limits/config.js";
import { RateLimits } from "../limits/limits.js";
import { LoadMonitor } from "../overload/load.js";
import { SessionConfig, type SessionOptions } from "../session/config.js";
import { SessionManager } from "../session/manager.js";
import { Preflights } from "./preflights.js";
import { warnOfSharedSecret } from "./shared-secret.js";

/** What a `Security` is made of. Each protection is on when its field is given. */
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

/** How the policy knows its clients and the time: what `App` and `Security` have in common. */
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

/** The compiled parts of a policy, as routes and their steps need them; `undefined` is what was not enabled. */
export type Policy = ReturnType<typeof compilePolicy>;

/**
 * Compiles the parts of a policy from their options.
 *
 * @throws ConfigError when a configuration cannot be used
 */
export function compilePolicy(options: SecurityOptions) {
  const { session, cors, csrf, securityHeaders, rateLimit, ...given } = read("Security", options, READERS);
  const { clock, events, ipv6Prefix, trustProxy: clientAddresses } = given;
  const shared = { clock, events };
  const jwt = given.jwt instanceof JwtConfig ? new Jwt<object>(given.jwt, shared) : given.jwt;
  const hasCookies = session !== undefined || jwt?.config.cookieName !== undefined;
  const load = new LoadMonitor({ clock });
  warnOfSharedSecret(jwt?.config, session, events);
  return Object.freeze({
    events,
    clock,
    /** Signs and verifies tokens. */
    jwt,
    authenticator: jwt && new TokenAuthenticator(jwt, events),
    sessions: session && new SessionManager(session, shared),
    /** Which pages of other origins may use the application; routes may have their own. */
    cors: cors && new Cors(cors),
    preflights: new Preflights(cors?.preflightsPerMinute ?? PREFLIGHTS_PER_MINUTE, { ...shared, ipv6Prefix }),
    csrf: new CsrfProtection(csrf ?? new CsrfConfig(), events),
    /** Requests with a session or token cookie are checked even when nobody asked: without it they are open to CSRF. */
    csrfScope: csrf !== undefined ? "always" : hasCookies ? "with-cookie" : "never",
    securityHeaders,
    /** The application's header fields, ready to be written; routes may have their own. */
    headers: securityHeaders && compileSecurityHeaders(securityHeaders),
    rateLimits: new RateLimits(rateLimit, { ...shared, load, ipv6Prefix }),
    clientAddresses,
    /** Warns when all clients are counted as one. */
    addressCheck: new AddressCheck(clientAddresses, events, options.trustProxy),
    /** CPU, memory and latency; sampled when an adaptive limit asks. */
    load,
  } as const);
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
