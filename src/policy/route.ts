import { ConfigError } from "../core/errors.js";
import {
  config,
  describe,
  type Fields,
  fitting,
  flag,
  oneOf,
  optional,
  or,
  type Readers,
  read,
  texts,
  type Values,
} from "../core/options.js";
import { canonicalPath, decodePath } from "../core/path-patterns.js";
import { CorsConfig, type CorsOptions } from "../cors/config.js";
import { Cors } from "../cors/cors.js";
import { type CompiledSecurityHeaders, compileSecurityHeaders } from "../headers/compile.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "../headers/config.js";
import { type PlainRateLimitOptions, type RateLimitConfig, readRateLimits } from "../limits/config.js";
import { compileSteps, type RouteRules, type Step } from "./pipeline.js";
import type { Policy } from "./policy.js";

/** What a route may say about its own protection; every field adds to or overrides the app's. */
export interface RouteSecurityOptions {
  /**
   * Whether the route needs a token: `"required"`, `"optional"` (a request without one passes, a
   * bad one is refused) or `false` (tokens are not looked at). Default: as the app.
   */
  readonly auth?: "required" | "optional" | false | undefined;
  /**
   * Limits of this route. One with the `name` of an app's limit takes its place here, others are
   * added to the app's; `false` switches all limits off.
   */
  readonly rateLimit?:
    | RateLimitConfig
    | PlainRateLimitOptions
    | readonly (RateLimitConfig | PlainRateLimitOptions)[]
    | false
    | undefined;
  /** Header fields that differ on this route, or `false` for none at all. */
  readonly securityHeaders?: SecurityHeadersOptions | SecurityHeadersConfig | false | undefined;
  /** Scopes that the token must all have (RFC 6750 section 3: 403 `insufficient_scope`). */
  readonly scopes?: readonly string[] | undefined;
  /** Roles of which the token must have at least one. */
  readonly roles?: readonly string[] | undefined;
  /**
   * `true` checks every unsafe request for its site, `false` none, for routes that no browser form may reach.
   * Default: as the app.
   */
  readonly csrf?: boolean | undefined;
  /** Which pages of other origins may use this route, or `false` for none. Default: as the app. */
  readonly cors?: CorsConfig | CorsOptions | false | undefined;
}

const READERS = {
  auth: oneOf<"required" | "optional" | false, undefined>(["required", "optional", false], undefined),
  rateLimit: or(false, optional(undefined, readOwnLimits)),
  securityHeaders: or(false, optional(undefined, readSecurityHeaders)),
  // Each is a scope-token of RFC 6749 section 3.3, because the challenge of a refusal names them.
  scopes: fitting(
    texts([]),
    (scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope),
    (scope) => `${JSON.stringify(scope)} is not one scope`,
    'write each scope as an entry of its own, in ASCII without spaces, quotes and backslashes: ["read", "write"]',
  ),
  roles: texts([]),
  csrf: flag(undefined),
  cors: or(false, config(CorsConfig)),
} satisfies Readers<Record<keyof RouteSecurityOptions, unknown>>;

/** {@link RouteSecurityOptions}, checked. */
export type RouteSecurity = Values<typeof READERS>;

/** Fields that the layer may add beside the configured ones; a handler's own value wins for these too. */
const ADDED_FIELDS: readonly string[] = [
  "ratelimit",
  "ratelimit-policy",
  "set-cookie",
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
];

/** What CORS adds: of these, `Vary` is added to and not replaced. */
const CORS_FIELDS: readonly string[] = [
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "vary",
];

/** Where a route stands, as far as its host knows. */
export interface RoutePlace {
  /** The pattern of the route; `undefined` for a path without a route, and where the host does not tell. */
  readonly pattern: string | undefined;
  /** Whether OPTIONS is all that gets here, or nothing at all: a route for OPTIONS alone, an unknown path. */
  readonly isForOptionsOnly: boolean;
  /** Whether the host's router is known to decode paths, once, before it compares them. */
  readonly isDecoded: boolean;
}

/** Where a route stands whose host does not tell. */
export const UNKNOWN_PLACE: RoutePlace = Object.freeze({
  pattern: undefined,
  isForOptionsOnly: false,
  isDecoded: false,
});

/** A route's protection, compiled: what the pipeline needs to know, decided when it was registered. */
export interface RoutePolicy {
  readonly headers: CompiledSecurityHeaders | undefined;
  /** The fixed lines of `headers` as they stand in a head of HTTP/1, each with its line break. */
  readonly headerText: string;
  /** In lower case, every field that the layer may add or remove: what a handler sets of these needs a closer look. */
  readonly contestedFields: ReadonlySet<string>;
  /** The same for responses that used the session, to which `Cache-Control` is added as well. */
  readonly contestedBesideCookie: ReadonlySet<string>;
  /** Which pages of other origins may read its answers. */
  readonly cors: Cors | undefined;
  /** The path that decides what is excluded, of a request target without its query; `undefined` when in doubt. */
  readonly readPath: (rawPath: string) => string | undefined;
  readonly auth: "required" | "optional" | false;
  readonly csrf: "always" | "with-cookie" | "never";
  readonly hasLimits: boolean;
  /** The pipeline of its requests. */
  readonly steps: readonly Step[];
}

/**
 * Checks the security options of a route.
 *
 * @param options the route's options; the host's own fields are left alone, but not slips of ours: a
 *   `scope` that nobody reads would leave the door open
 * @param route method and path, for messages
 * @throws ConfigError naming the route and the field
 */
export function readRouteSecurity(options: RouteSecurityOptions, route: string): RouteSecurity {
  return read(`route ${route}`, options, READERS, "allowed");
}

/**
 * Checks the options of a middleware, which are all ours: a name that does not exist is refused.
 *
 * @param further names of the host's own options
 * @throws ConfigError naming the field
 */
export function readMiddlewareSecurity(
  options: RouteSecurityOptions,
  subject: string,
  further: readonly string[] = [],
): RouteSecurity {
  const unread = Object.fromEntries(further.map((name) => [name, () => undefined]));
  return read(`route behind ${subject}`, options, { ...unread, ...READERS });
}

function readOwnLimits(fields: Fields, name: string): readonly RateLimitConfig[] {
  const limits = readRateLimits(fields, name);
  const names = limits.map((limit) => limit.name);
  const twice = names.find((limit, index) => names.indexOf(limit) < index);
  if (twice === undefined) return limits;
  return fields.conflict(name, `two limits are named "${twice}"`, "give each limit of a route its own name");
}

function readSecurityHeaders(fields: Fields, name: string, value: unknown) {
  if (value instanceof SecurityHeadersConfig) return value;
  if (typeof value !== "object" || value === null) {
    const problem = `must be header fields or false, got ${describe(value)}`;
    return fields.wrongType(name, problem, "write { csp: ... } or false");
  }
  // Built once here so that a mistake in it is an error of the route, at the line that registers it.
  new SecurityHeadersConfig(value);
  return value as SecurityHeadersOptions;
}

/**
 * Compiles a route's protection from its own options and the application's.
 *
 * @param place where the route stands
 * @throws ConfigError when the route asks for something that is not enabled
 */
export function compileRoute(policy: Policy, route: RouteSecurity, place: RoutePlace): RoutePolicy {
  const { pattern } = place;
  const name = pattern ?? "without a path";
  requireEnabled(policy, route, name);
  const limits = route.rateLimit === false ? [] : policy.rateLimits.forRoute(route.rateLimit ?? [], name);
  // A limit that leaves out the whole route need not be asked for its requests; a place of it they hold all the same.
  const asked = limits.filter(
    ({ config, shedder }) =>
      pattern === undefined || shedder !== undefined || config.excludedPaths.matchesRoute(pattern) !== true,
  );
  const headers = compileHeaders(policy, route);
  const cors = compileCors(policy, route, limits);
  const contestedFields = new Set([
    ...ADDED_FIELDS,
    ...(cors === undefined ? [] : CORS_FIELDS),
    ...(headers?.names ?? []),
    ...(headers?.removed ?? []),
  ]);
  const { auth, excludedPaths } = compileAuthentication(policy, route, place);
  const csrf = route.csrf === false ? "never" : route.csrf === true ? "always" : policy.csrfScope;
  // Where they are not answered here they may pass without token and quota, if no handler of the application meets
  // them by accident. A route that asks for tokens by itself means it.
  const admitsPreflights = place.isForOptionsOnly && route.auth === undefined && !hasGrants(route);
  const meetsPreflights = cors !== undefined || admitsPreflights;
  const { scopes, roles } = route;
  return Object.freeze({
    headers,
    headerText: headText(headers?.lines ?? []),
    contestedFields,
    contestedBesideCookie: new Set([...contestedFields, "cache-control"]),
    cors,
    readPath: place.isDecoded ? decodePath : canonicalPath,
    auth,
    csrf,
    hasLimits: limits.length > 0,
    steps: compileSteps(policy, { meetsPreflights, cors, limits: asked, auth, excludedPaths, csrf, scopes, roles }),
  });
}

/** One flat string: Node measures it with every head, and a joined one would be flattened each time. */
function headText(lines: readonly string[]): string {
  let text = "";
  for (let index = 0; index < lines.length; index += 2) text += `${lines[index]}: ${lines[index + 1]}\r\n`;
  return Buffer.from(text, "latin1").toString("latin1");
}

/** Whether a route asks what its caller may do. */
export function hasGrants(route: RouteSecurity): boolean {
  return route.scopes.length > 0 || route.roles.length > 0;
}

/** Pages may read what limits tell them: also the older fields, where a limit of the route sends those. */
function compileCors(
  policy: Policy,
  route: RouteSecurity,
  limits: readonly { readonly config: RateLimitConfig }[],
): Cors | undefined {
  const cors = route.cors === undefined ? policy.cors : route.cors && new Cors(route.cors);
  if (cors === undefined || cors === false) return undefined;
  const sendsLegacy = limits.some(({ config }) => config.headers === "legacy" || config.headers === "both");
  return sendsLegacy ? cors.withLegacyLimits : cors;
}

function compileAuthentication(
  policy: Policy,
  route: RouteSecurity,
  { pattern }: RoutePlace,
): Pick<RouteRules, "auth" | "excludedPaths"> {
  const config = policy.jwt?.config;
  if (config === undefined) return { auth: false, excludedPaths: undefined };
  if (route.auth !== undefined) return { auth: route.auth, excludedPaths: undefined };
  // A route that names scopes or roles says more than a list of excluded paths: its token is looked at.
  if (hasGrants(route)) return { auth: "required", excludedPaths: undefined };
  const auth = config.required ? "required" : "optional";
  const { excludedPaths } = config;
  const isExcluded = pattern === undefined ? undefined : excludedPaths.matchesRoute(pattern);
  if (isExcluded === true) return { auth: false, excludedPaths: undefined };
  const isDecidedByPath = isExcluded === undefined && !excludedPaths.isEmpty;
  return { auth, excludedPaths: isDecidedByPath ? excludedPaths : undefined };
}

function compileHeaders(policy: Policy, route: RouteSecurity): CompiledSecurityHeaders | undefined {
  const { securityHeaders } = route;
  if (securityHeaders === false) return undefined;
  if (securityHeaders instanceof SecurityHeadersConfig) return compileSecurityHeaders(securityHeaders);
  if (securityHeaders === undefined) return policy.headers;
  const base = policy.securityHeaders;
  return compileSecurityHeaders(
    base === undefined ? new SecurityHeadersConfig(securityHeaders) : base.extend(securityHeaders),
  );
}

/** A lock that a route asks for and nobody switched on must not stand open silently. */
function requireEnabled(policy: Policy, route: RouteSecurity, name: string): void {
  const needsTokens = route.auth === "required" || hasGrants(route);
  if (needsTokens && policy.jwt === undefined) {
    const field = route.scopes.length > 0 ? "scopes" : route.roles.length > 0 ? "roles" : "auth";
    throw new ConfigError({
      code: "CELLO_NOT_ENABLED",
      subject: `route ${name}`,
      field,
      problem: "needs tokens, and JWT is not enabled",
      mend: "call enableJwt, or leave the field out",
    });
  }
  if (route.auth === false && hasGrants(route)) {
    throw new ConfigError({
      code: "CELLO_CONFLICT",
      subject: `route ${name}`,
      field: "auth",
      problem: "is false, and the route asks for scopes or roles",
      mend: "leave auth out, or the scopes and roles",
    });
  }
}
