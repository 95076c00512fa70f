import type { ServerOptions as HttpServerOptions } from "node:http";
import type { SecureServerOptions } from "node:http2";
import type { ServerOptions as HttpsServerOptions } from "node:https";
import type { Socket } from "node:net";
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyListenOptions,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  type HTTPMethods,
} from "fastify";
import { type Clock, systemClock } from "../core/clock.js";
import { ConfigError } from "../core/errors.js";
import { EventHub, type SecurityEventListener, type SecurityEventName } from "../core/events.js";
import { configOf, read } from "../core/options.js";
import { strictConstruction, strictFunction, strictMethods } from "../core/strict-calls.js";
import { CorsConfig, type CorsOptions } from "../cors/config.js";
import { CsrfConfig, type CsrfOptions } from "../csrf/config.js";
import { SecurityHeadersConfig, type SecurityHeadersOptions } from "../headers/config.js";
import { installSecurity } from "../hosts/fastify/install.js";
import { answerExpectation, answerParserError, answerUnroutable, problemHandlers } from "../hosts/fastify/problems.js";
import { hasLog, watchReplies } from "../hosts/fastify/reply-watch.js";
import { addRequestFields } from "../hosts/fastify/request-fields.js";
import { boundRequestTime, DEFAULT_REQUEST_TIMEOUT_MS } from "../hosts/fastify/request-timeout.js";
import { JwtConfig, type JwtOptions } from "../jwt/config.js";
import { Jwt } from "../jwt/jwt.js";
import { type PlainRateLimitOptions, RateLimitConfig } from "../limits/config.js";
import type { RateLimits } from "../limits/limits.js";
import { SURROUNDINGS } from "../policy/policy.js";
import { Security } from "../policy/security.js";
import { SessionConfig, type SessionOptions } from "../session/config.js";
import type { UserSessions } from "../session/users.js";
import type { AppRoute, AppRouteOptions, AppTypes, ClaimsOf } from "./types.js";

/** Options of an {@link App}: Fastify's server options, and how clients are told apart. */
export interface AppOptions extends Omit<FastifyServerOptions, "trustProxy" | "requestTimeout"> {
  /** Options of Node's HTTP server, such as `maxHeaderSize`. */
  readonly http?: HttpServerOptions | null | undefined;
  /** Serve HTTPS with this certificate and key. */
  readonly https?: HttpsServerOptions | SecureServerOptions | null | undefined;
  /** Serve HTTP/2. */
  readonly http2?: boolean | undefined;
  /**
   * Milliseconds within which a whole request must have come, its body included; what is late gets 408. 0: no bound.
   * Default: 60,000. Raise it where clients send large files over slow lines.
   */
  readonly requestTimeout?: number | undefined;
  /** Who may speak for the client in `X-Forwarded-*`: addresses, CIDR ranges, `"loopback"`. Default: nobody. */
  readonly trustProxy?: string | readonly string[] | false | undefined;
  /** IPv6 clients are counted by this prefix, in bits. Default: 64. */
  readonly ipv6Prefix?: number | undefined;
  /** Clocks other than the machine's, for tests. */
  readonly clock?: Clock | undefined;
}

/** Those of Fastify and Node: a misspelt port would be any port. */
const LISTEN_OPTIONS =
  "port, host, path, backlog, exclusive, ipv6Only, readableAll, writableAll, reusePort, fd, signal, listenTextResolver";

/** The protections that were switched on so far. */
interface Enabled<Claims> {
  jwt: Jwt<Claims> | undefined;
  session: SessionConfig | undefined;
  securityHeaders: SecurityHeadersConfig | undefined;
  cors: CorsConfig | undefined;
  csrf: CsrfConfig | undefined;
  readonly rateLimit: RateLimitConfig[];
}

/**
 * A web application with the security layer in front: a thin face on Fastify 5.
 *
 * Protections are switched on in any order before the first request; then they are compiled into
 * one policy that every request crosses. `app.fastify` is the whole of Fastify.
 *
 * @example
 * ```ts
 * const app = new App();
 * app.enableJwt({ secret: process.env.JWT_SECRET!, exclude: ["/login"] });
 * app.get("/me", (request) => ({ sub: request.claims.sub }));
 * await app.listen({ port: 8000 });
 * ```
 */
export class App<Types extends AppTypes = AppTypes> {
  /** The Fastify instance underneath. */
  readonly fastify: FastifyInstance;
  /** Adds a route for GET (and HEAD, as Fastify does). */
  readonly get: AppRoute<Types, this>;
  readonly post: AppRoute<Types, this>;
  readonly put: AppRoute<Types, this>;
  readonly patch: AppRoute<Types, this>;
  readonly delete: AppRoute<Types, this>;
  readonly head: AppRoute<Types, this>;
  readonly options: AppRoute<Types, this>;

  readonly #options: AppOptions;
  readonly #events = new EventHub();
  readonly #enabled: Enabled<ClaimsOf<Types>> = {
    jwt: undefined,
    session: undefined,
    securityHeaders: undefined,
    cors: undefined,
    csrf: undefined,
    rateLimit: [],
  };
  #security: Security | undefined;

  /**
   * @param options Fastify's server options, `trustProxy` and `ipv6Prefix`
   * @throws ConfigError when `trustProxy` does not name who may speak for the client
   */
  constructor(options: AppOptions = {}) {
    strictConstruction("new App(options)", arguments);
    // Fastify has many options of its own; only slips of ours can be told from those.
    read("App", options, SURROUNDINGS, "allowed");
    this.#options = options;
    this.fastify = createFastify(options, () => this.security);
    addRequestFields(this.fastify, ["cspNonce", "clientIp", "rateLimit"]);
    installSecurity(this.fastify, () => this.security, watchReplies(this.fastify, options));
    boundRequestTime(this.fastify.server, requestTimeoutOf(options), () => this.security);
    this.fastify.register(problemHandlers, { isLogged: hasLog(options) });
    this.fastify.server.on("checkExpectation", (_request, response) => answerExpectation(this.security, response));
    this.get = this.#shorthand("GET");
    this.post = this.#shorthand("POST");
    this.put = this.#shorthand("PUT");
    this.patch = this.#shorthand("PATCH");
    this.delete = this.#shorthand("DELETE");
    this.head = this.#shorthand("HEAD");
    this.options = this.#shorthand("OPTIONS");
  }

  /**
   * Switches token authentication on for every route that is not excluded.
   *
   * @throws ConfigError when the configuration cannot be used, JWT is on already, or requests have come
   */
  enableJwt(config: JwtConfig | JwtOptions): this {
    this.#requireOpen("enableJwt", this.#enabled.jwt);
    this.#enabled.jwt = new Jwt(configOf(JwtConfig, config), {
      clock: this.#options.clock ?? systemClock,
      events: this.#events,
    });
    addRequestFields(this.fastify, ["claims", "token"]);
    return this;
  }

  /**
   * Switches sessions on, and with them the check for cross-site requests that carry one.
   *
   * @throws ConfigError as {@link enableJwt}
   */
  enableSession(config: SessionConfig | SessionOptions): this {
    this.#requireOpen("enableSession", this.#enabled.session);
    this.#enabled.session = configOf(SessionConfig, config);
    addRequestFields(this.fastify, ["session"]);
    return this;
  }

  /**
   * Writes security headers on every response, those of errors included.
   *
   * @throws ConfigError as {@link enableJwt}
   */
  enableSecurityHeaders(config: SecurityHeadersConfig | SecurityHeadersOptions = {}): this {
    this.#requireOpen("enableSecurityHeaders", this.#enabled.securityHeaders);
    this.#enabled.securityHeaders = configOf(SecurityHeadersConfig, config);
    return this;
  }

  /**
   * Adds a limit; several with different names stack. Plain options name their `algorithm`, a token bucket
   * when they do not.
   *
   * @throws ConfigError as {@link enableJwt}, and when a limit of that name exists
   */
  enableRateLimit(config: RateLimitConfig | PlainRateLimitOptions): this {
    const limit = RateLimitConfig.from(config);
    const { rateLimit } = this.#enabled;
    this.#requireOpen(
      "enableRateLimit",
      rateLimit.find((other) => other.name === limit.name),
    );
    rateLimit.push(limit);
    return this;
  }

  /**
   * Refuses cross-site requests that change something, whether or not they carry a session.
   *
   * @throws ConfigError as {@link enableJwt}
   */
  enableCsrf(config: CsrfConfig | CsrfOptions = {}): this {
    this.#requireOpen("enableCsrf", this.#enabled.csrf);
    this.#enabled.csrf = configOf(CsrfConfig, config);
    return this;
  }

  /**
   * Lets pages of other origins use the application: answers preflights, and lets pages read answers and refusals.
   *
   * @throws ConfigError as {@link enableJwt}
   */
  enableCors(config: CorsConfig | CorsOptions): this {
    this.#requireOpen("enableCors", this.#enabled.cors);
    this.#enabled.cors = configOf(CorsConfig, config);
    return this;
  }

  /** Signs and verifies tokens. @throws ConfigError when JWT is not enabled */
  get jwt(): Jwt<ClaimsOf<Types>> {
    return this.#enabled.jwt ?? notEnabled("jwt", "enableJwt");
  }

  /**
   * Lists and revokes the sessions of users.
   *
   * @throws ConfigError when sessions are not enabled, or are sealed in cookies
   */
  get sessions(): UserSessions {
    if (this.#enabled.session === undefined) return notEnabled("sessions", "enableSession");
    return this.security.userSessions;
  }

  /** Looks at and changes the counts of the limits. */
  get rateLimit(): RateLimits {
    return this.security.rateLimits;
  }

  /** The compiled policy; asking for it compiles it, and nothing can be enabled afterwards. */
  get security(): Security {
    const { clock, trustProxy, ipv6Prefix } = this.#options;
    this.#security ??= new Security({ ...this.#enabled, clock, trustProxy, ipv6Prefix, events: this.#events });
    return this.#security;
  }

  /** Adds a listener for a security event. */
  on<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): this {
    this.#events.on(name, listener);
    return this;
  }

  /** Adds a route with Fastify's full declaration and the security layer's options. */
  get route(): FastifyInstance["route"] {
    return this.fastify.route.bind(this.fastify);
  }

  /** Loads a Fastify plugin. */
  get register(): FastifyInstance["register"] {
    return this.fastify.register.bind(this.fastify);
  }

  /** Adds a Fastify hook; it runs after the security layer. */
  get addHook(): FastifyInstance["addHook"] {
    return this.fastify.addHook.bind(this.fastify);
  }

  /** Sends a request without a socket, for tests. */
  get inject(): FastifyInstance["inject"] {
    return this.fastify.inject.bind(this.fastify);
  }

  /**
   * Starts to listen; the protections are compiled now.
   *
   * @returns the address, for example `http://127.0.0.1:8000`
   * @throws ConfigError when a route asks for a protection that is not enabled
   */
  listen(options: FastifyListenOptions = {}): Promise<string> {
    return this.fastify.listen(options);
  }

  /** Stops listening, lets running requests finish, and closes the stores. */
  async close(): Promise<void> {
    await this.fastify.close();
  }

  #shorthand(method: HTTPMethods): AppRoute<Types, this> {
    const add = (url: string, ...rest: [AnyHandler] | [AppRouteOptions, AnyHandler]) => {
      const [options, handler] = rest.length === 1 ? [{}, rest[0]] : rest;
      // The handler goes to Fastify as it is, without a wrapper on every request: what it may expect of
      // the request is what `AppRoute` checked, and more than Fastify's types can say.
      Reflect.apply(this.fastify.route, this.fastify, [{ ...options, method, url, handler }]);
      return this;
    };
    return strictFunction(`App.${method.toLowerCase()}(path, options, handler)`, add);
  }

  #requireOpen(method: string, existing: unknown): void {
    if (this.#security !== undefined) {
      throw new ConfigError({
        code: "CELLO_TOO_LATE",
        subject: `App.${method}`,
        problem: "the policy is compiled already",
        mend: "enable protections before listen, the first request, and the first look at app.security",
      });
    }
    if (existing !== undefined) {
      throw new ConfigError({
        code: "CELLO_ALREADY_ENABLED",
        subject: `App.${method}`,
        problem: "was called already",
        mend: method === "enableRateLimit" ? "give every limit its own name" : "call it once, with everything it needs",
      });
    }
  }
}

/** A handler of any shape; what it may expect of a request is checked where it is given. */
type AnyHandler = (request: never, reply: never) => unknown;

function notEnabled(property: string, method: string): never {
  throw new ConfigError({
    code: "CELLO_NOT_ENABLED",
    subject: `App.${property}`,
    problem: "is not enabled",
    mend: `call app.${method}(...) first`,
  });
}

/** Fastify overwrites what the options of Node's server say: both are what the application asked for. */
function requestTimeoutOf({ requestTimeout, http, https }: AppOptions): number {
  const given = requestTimeout ?? http?.requestTimeout ?? (https && "requestTimeout" in https && https.requestTimeout);
  return typeof given === "number" ? given : DEFAULT_REQUEST_TIMEOUT_MS;
}

function createFastify(options: AppOptions, security: () => Security): FastifyInstance {
  const { clock: _clock, ipv6Prefix: _ipv6Prefix, frameworkErrors: _own, trustProxy, ...server } = options;
  const defaults = {
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      answerUnroutable(security(), error, request, reply, options.frameworkErrors),
    clientErrorHandler: (error: Error & { code?: string }, socket: Socket) =>
      answerParserError(security(), error, socket),
    // Requests that come while closing are answered by our hook, with the security headers.
    return503OnClosing: false,
  };
  // Node would refuse a request without Host by itself, without the security headers: our hook does it.
  const hostless = { requireHostHeader: false };
  const http = { ...hostless, ...server.http };
  const tls = server.https == null ? {} : { https: { ...hostless, ...server.https } };
  const trusted = typeof trustProxy === "object" ? [...trustProxy] : (trustProxy ?? false);
  const requestTimeout = requestTimeoutOf(options);
  return createServer({ ...defaults, ...server, http, ...tls, requestTimeout, trustProxy: trusted });
}

/** Fastify's type depends on the protocol, its behaviour does not: one type for all. */
function createServer(options: object): FastifyInstance {
  return Reflect.apply(fastify, undefined, [options]);
}

strictMethods(App, {
  enableJwt: "config",
  enableSession: "config",
  enableSecurityHeaders: "config",
  enableRateLimit: "config",
  enableCsrf: "config",
  enableCors: "config",
  on: "event, listener",
  listen: `{ ${LISTEN_OPTIONS} }`,
  close: "",
});
