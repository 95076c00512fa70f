import { App, ConfigError, CSP, Jwt, RateLimitConfig, Security } from "cello";
import { cello } from "cello/fastify";
import fastify, { type FastifyInstance, type FastifyPluginAsync, type RouteOptions } from "fastify";
import { afterEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const token = jwt.sign({ sub: "u1", roles: ["user"], scope: "read" });
const bearer = { authorization: `Bearer ${token}` };

let instance: FastifyInstance | undefined;
afterEach(() => instance?.close());

const options = () => ({
  jwt: { secret },
  session: { secret },
  securityHeaders: {},
  rateLimit: RateLimitConfig.tokenBucket({ requests: 100, window: 60 }),
});

/** The hosts that read route options, each with the plugins loaded. */
const hosts: Readonly<Record<string, (plugin: FastifyPluginAsync) => Promise<FastifyInstance>>> = {
  App: async (plugin) => {
    const app = new App();
    const { jwt: tokens, session, rateLimit } = options();
    app.enableJwt(tokens).enableSession(session).enableSecurityHeaders().enableRateLimit(rateLimit);
    app.register(plugin, { prefix: "/plugin" });
    instance = app.fastify;
    await instance.ready();
    return instance;
  },
  "cello/fastify": async (plugin) => {
    instance = fastify();
    await instance.register(cello, { security: new Security(options()) });
    instance.register(plugin, { prefix: "/plugin" });
    await instance.ready();
    return instance;
  },
};

/** A plugin that sets options of its own routes in a hook, and an inner one that changes some again. */
const setting =
  (given: object, inner: Partial<RouteOptions> = {}): FastifyPluginAsync =>
  async (scope) => {
    scope.addHook("onRoute", (route) => {
      Object.assign(route, given);
    });
    scope.get("/", async () => "outer");
    scope.post("/", async () => "outer");
    await scope.register(
      async (nested) => {
        nested.addHook("onRoute", (route) => {
          // Some plugins put in a config of their own.
          Object.assign(route, { config: { mine: true } });
          Object.assign(route, inner);
        });
        nested.get("/", async () => "inner");
      },
      { prefix: "/inner" },
    );
  };

describe.each(Object.entries(hosts))("options that an onRoute hook sets are honoured by %s", (_name, start) => {
  it("auth, for GET and the HEAD that comes with it", async () => {
    const server = await start(setting({ auth: false }, { auth: "required" }));
    expect((await server.inject("/plugin/")).statusCode).toBe(200);
    expect((await server.inject({ method: "HEAD", url: "/plugin/" })).statusCode).toBe(200);
    expect((await server.inject("/plugin/inner/")).statusCode).toBe(401);
    expect((await server.inject({ method: "HEAD", url: "/plugin/inner/" })).statusCode).toBe(401);
  });

  it("roles and scopes", async () => {
    const server = await start(setting({ roles: ["admin"] }, { roles: [], scopes: ["read"] }));
    const get = (url: string) => server.inject({ url, headers: bearer });
    expect((await get("/plugin/")).statusCode).toBe(403);
    expect((await server.inject({ method: "HEAD", url: "/plugin/", headers: bearer })).statusCode).toBe(403);
    expect((await get("/plugin/inner/")).statusCode).toBe(200);
  });

  it("securityHeaders and rateLimit", async () => {
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 1, window: 60 });
    const csp = new CSP().defaultSrc("'none'");
    const server = await start(
      setting({ securityHeaders: { csp }, rateLimit }, { securityHeaders: false, rateLimit: false }),
    );
    const outer = await server.inject({ url: "/plugin/", headers: bearer });
    expect(outer.headers["content-security-policy"]).toBe("default-src 'none'");
    expect((await server.inject({ url: "/plugin/", headers: bearer })).statusCode).toBe(429);
    const inner = await server.inject({ url: "/plugin/inner/", headers: bearer });
    expect(inner.statusCode).toBe(200);
    expect(inner.headers).not.toHaveProperty("x-frame-options");
    expect(inner.headers).not.toHaveProperty("ratelimit");
  });

  it("csrf", async () => {
    const forged = { ...bearer, cookie: "session_id=x", "sec-fetch-site": "cross-site" };
    const guarded = await start(setting({}));
    expect((await guarded.inject({ method: "POST", url: "/plugin/", headers: forged })).statusCode).toBe(403);
    await guarded.close();
    const open = await start(setting({ csrf: false }));
    expect((await open.inject({ method: "POST", url: "/plugin/", headers: forged })).statusCode).toBe(200);
  });

  it.each([
    ["a value that means nothing", { auth: "no" }],
    ["a slip", { role: ["admin"] }],
    ["a conflict", { auth: false, roles: ["admin"] }],
  ])("and %s fails when the application starts", async (_what, given) => {
    // Deliberately wrong: what a hook in JavaScript may do.
    await expect(start(setting(given))).rejects.toThrow(ConfigError);
  });
});

describe("a mistake in a route's own options", () => {
  it("is an error of the line that registers it", () => {
    const app = new App();
    instance = app.fastify;
    const slip: object = { role: ["admin"] };
    expect(() => app.get("/", slip, () => "ok")).toThrow(ConfigError);
  });
});
