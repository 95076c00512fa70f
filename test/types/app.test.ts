import {
  App,
  type AppRequest,
  CSP,
  type Jwt,
  type JwtClaims,
  JwtConfig,
  RateLimitConfig,
  type RateLimitState,
  SecurityHeadersConfig,
  type Session,
  SessionConfig,
} from "cello";
import { describe, expectTypeOf, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";

interface Types {
  claims: { sub: string; roles: string[] };
  session: { userId: string; visits: number; cart?: { item: string }[] };
}

/** Checked by the compiler and never run: what stands in it may be wrong on purpose. */
function neverRun(_code: () => unknown): void {}

describe("an App without a type parameter", () => {
  const app = new App();

  it("has the registered claims and any others", () => {
    app.get("/", (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims>();
      expectTypeOf(request.claims.sub).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.claims.exp).toEqualTypeOf<number | undefined>();
      expectTypeOf(request.claims.anything).toEqualTypeOf<unknown>();
    });
    expectTypeOf<(typeof app)["jwt"]>().toEqualTypeOf<Jwt<JwtClaims>>();
  });

  it("has open records for sessions", () => {
    app.get("/session", (request) => {
      expectTypeOf(request.session).toEqualTypeOf<Session>();
      expectTypeOf(request.session.get("anything")).toEqualTypeOf<unknown>();
      request.session.set("anything", { at: "all" });
    });
  });
});

describe("an App with a type parameter", () => {
  const app = new App<Types>();

  it("types claims in every handler", () => {
    app.get("/claims", (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<{ sub: string; roles: string[] }>();
      // @ts-expect-error: there is no such claim
      request.claims.role;
      return request.claims.sub;
    });
    neverRun(() => {
      for (const add of [app.get, app.post, app.put, app.patch, app.delete, app.head, app.options]) {
        add("/each", (request) => expectTypeOf(request.claims.roles).toEqualTypeOf<string[]>());
      }
    });
    app.get("/async", async (request) => expectTypeOf(request.claims.sub).toEqualTypeOf<string>());
    app.get("/options", { scopes: ["a"] }, ({ claims }) => expectTypeOf(claims.sub).toEqualTypeOf<string>());
    app.get("/required", { auth: "required" }, ({ claims }) => expectTypeOf(claims.sub).toEqualTypeOf<string>());
  });

  it("makes claims undefined-able where a request may come without a token", () => {
    app.get("/open", { auth: false }, (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<{ sub: string; roles: string[] } | undefined>();
      // @ts-expect-error: there may be no claims
      request.claims?.sub.length + request.claims.sub.length;
    });
    app.post("/optional", { auth: "optional", rateLimit: false }, (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<{ sub: string; roles: string[] } | undefined>();
    });
  });

  it("types the session by its keys", () => {
    app.post("/typed", (request) => {
      const { session } = request;
      expectTypeOf(session.get("userId")).toEqualTypeOf<string | undefined>();
      expectTypeOf(session.get("visits")).toEqualTypeOf<number | undefined>();
      expectTypeOf(session.get("cart")).toEqualTypeOf<{ item: string }[] | undefined>();
      expectTypeOf(session.all()).toEqualTypeOf<Readonly<Partial<Types["session"]>>>();
      expectTypeOf(session.has("userId")).toEqualTypeOf<boolean>();
      expectTypeOf(session.delete("userId")).toEqualTypeOf<boolean>();
      expectTypeOf(session.id).toEqualTypeOf<string>();
      expectTypeOf(session.isNew).toEqualTypeOf<boolean>();
      expectTypeOf(session.createdAt).toEqualTypeOf<Date>();
      session.set("userId", "u1");
      neverRun(() => {
        // @ts-expect-error: the value must be a string
        session.set("userId", 1);
        // @ts-expect-error: there is no such key
        session.set("userID", "u1");
        // @ts-expect-error: there is no such key
        session.get("name");
        // @ts-expect-error: there is no such key
        session.has("name");
        // @ts-expect-error: there is no such key
        session.delete("name");
        // @ts-expect-error: a request has one session, and it is not replaced
        request.session = session;
      });
    });
  });

  it("types the rest of the request", () => {
    app.get("/rest", (request, reply) => {
      expectTypeOf(request.token).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.cspNonce).toEqualTypeOf<string>();
      expectTypeOf(request.clientIp).toEqualTypeOf<string>();
      expectTypeOf(request.rateLimit).toEqualTypeOf<RateLimitState | undefined>();
      expectTypeOf(request.headers.host).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.query).toEqualTypeOf<unknown>();
      expectTypeOf(reply.code).toBeFunction();
      neverRun(() => {
        // @ts-expect-error: claims are read only
        request.claims = { sub: "admin", roles: [] };
      });
    });
  });

  it("types parameters, query and body by the route", () => {
    app.get<{ Params: { id: string }; Querystring: { page?: string } }>("/users/:id", (request) => {
      expectTypeOf(request.params).toEqualTypeOf<{ id: string }>();
      expectTypeOf(request.query.page).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.claims.sub).toEqualTypeOf<string>();
    });
    app.post<{ Body: { name: string } }>("/users", { auth: false }, (request) => {
      expectTypeOf(request.body.name).toEqualTypeOf<string>();
      expectTypeOf(request.claims?.sub).toEqualTypeOf<string | undefined>();
    });
  });

  it("types tokens that are signed and verified", () => {
    neverRun(() => {
      expectTypeOf(app.jwt.verify("x")).toEqualTypeOf<{ sub: string; roles: string[] }>();
      app.jwt.sign({ sub: "u1", roles: [] });
      app.jwt.sign({ sub: "u1", roles: [], exp: 1 });
      // @ts-expect-error: the application's own claims are missing
      app.jwt.sign({ sub: "u1" });
      // @ts-expect-error: exp is a number
      app.jwt.sign({ sub: "u1", roles: [], exp: "tomorrow" });
    });
  });

  it("takes handlers that answer with anything, at once or later", () => {
    app.get("/text", () => "text");
    app.get("/object", () => ({ a: 1 }));
    app.get("/later", async () => ({ a: 1 }));
    app.get("/nothing", () => {});
    app.get("/reply", (_request, reply) => reply.code(204).send());
    app.get("/none", () => undefined);
    neverRun(() => {
      // @ts-expect-error: a handler is a function
      app.get("/x", { a: 1 });
      // @ts-expect-error: a handler comes last
      app.get("/x", () => "x", { auth: false });
      // @ts-expect-error: and is needed
      app.get("/x", { auth: false });
      // @ts-expect-error: it has two parameters
      app.get("/x", (_request, _reply, _next: () => void) => "x");
    });
  });

  it("gives itself back, typed", () => {
    const chained = app
      .get("/chained/1", () => 1)
      .post("/chained/2", { auth: false }, () => 2)
      .on("token.rejected", ({ reason, clientIp }) => {
        expectTypeOf(clientIp).toEqualTypeOf<string>();
        expectTypeOf<"expired">().toMatchTypeOf<typeof reason>();
      });
    expectTypeOf(chained).toEqualTypeOf<App<Types>>();
    expectTypeOf(new App<Types>().enableJwt({ secret }).enableSession({ secret })).toEqualTypeOf<App<Types>>();
  });

  it("takes a function that was declared apart", () => {
    const whoAmI = (request: AppRequest<Types>) => request.claims.sub;
    app.get("/declared", whoAmI);
    neverRun(() => {
      // @ts-expect-error: this one expects claims, and here there may be none
      app.get("/declared/open", { auth: false }, whoAmI);
    });
  });

  it("names only one of the two", () => {
    new App<{ claims: { sub: string } }>().get("/", (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<{ sub: string }>();
      expectTypeOf(request.session).toEqualTypeOf<Session>();
    });
    new App<{ session: { userId: string } }>().get("/", (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims>();
      expectTypeOf(request.session.get("userId")).toEqualTypeOf<string | undefined>();
    });
    neverRun(() => {
      // @ts-expect-error: claims are an object
      new App<{ claims: string }>();
    });
  });
});

describe("hooks and Fastify itself", () => {
  it("know the fields of the request", () => {
    const app = new App<Types>();
    app.addHook("onRequest", async (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(request.session).toEqualTypeOf<Session>();
    });
    app.addHook("onSend", async (request, _reply, payload) => {
      expectTypeOf(request.clientIp).toEqualTypeOf<string>();
      return payload;
    });
    app.fastify.get("/fastify", { auth: false, csrf: false }, async (request) => request.claims?.sub);
    app.route({ method: "GET", url: "/route", scopes: ["a"], handler: (request) => request.claims?.sub });
    neverRun(() => {
      // @ts-expect-error: no such value
      app.fastify.get("/x", { auth: true }, () => "x");
      // @ts-expect-error: scopes are a list
      app.route({ method: "GET", url: "/x", scopes: "a", handler: () => "x" });
    });
  });
});

describe("options that are wrong do not compile", () => {
  it("of configurations", () => {
    neverRun(() => {
      // @ts-expect-error: a secret or a jwksUri; no such field
      new JwtConfig({ secret, expires: 900 });
      // @ts-expect-error: seconds are a number
      new JwtConfig({ secret, expiration: "15m" });
      // @ts-expect-error: no such algorithm
      new JwtConfig({ secret, algorithm: "none" });
      // @ts-expect-error: a list of paths
      new JwtConfig({ secret, exclude: "/login" });
      // @ts-expect-error: the secret is required
      new SessionConfig({ secure: true });
      // @ts-expect-error: in capitals
      new SessionConfig({ secret, sameSite: "lax" });
      // @ts-expect-error: not a store
      new SessionConfig({ secret, store: new Map() });
      // @ts-expect-error: no such field
      new SecurityHeadersConfig({ frameOptions: "DENY" });
      // @ts-expect-error: a CSP, and not text
      new SecurityHeadersConfig({ csp: "default-src 'self'" });
      // @ts-expect-error: ALLOW-FROM is gone
      new SecurityHeadersConfig({ xFrameOptions: "ALLOW-FROM" });
      // @ts-expect-error: sources are arguments of their own
      new CSP().defaultSrc(["'self'"]);
      // @ts-expect-error: no such hash
      CSP.hash("x", "md5");
      // @ts-expect-error: requests and window are required
      RateLimitConfig.tokenBucket({ requests: 5 });
      // @ts-expect-error: no such field of this algorithm
      RateLimitConfig.tokenBucket({ requests: 5, window: 1, minRequests: 1 });
      // @ts-expect-error: baseRequests
      RateLimitConfig.adaptive({ requests: 5, window: 1 });
      // @ts-expect-error: made by one of its three methods
      new RateLimitConfig({ requests: 5, window: 1 });
      // @ts-expect-error: frozen
      new JwtConfig({ secret }).expiration = 5;
    });
  });

  it("of an App", () => {
    neverRun(() => {
      // @ts-expect-error: true trusts whoever connects
      new App({ trustProxy: true });
      // @ts-expect-error: so does a number of hops
      new App({ trustProxy: 1 });
      // @ts-expect-error: no such option
      new App({ trustProxies: ["10.0.0.0/8"] });
      const app = new App();
      // @ts-expect-error: there is no such field
      app.enableJwt({ secret, sekret: "x" });
      app.enableRateLimit({ requests: 5, window: 1 });
      app.enableRateLimit({ algorithm: "adaptive", baseRequests: 5, window: 1 });
      // @ts-expect-error: no such field
      app.enableRateLimit({ request: 5, window: 1 });
      // @ts-expect-error: an adaptive limit has no fixed number of requests
      app.enableRateLimit({ algorithm: "adaptive", requests: 5, window: 1 });
      // @ts-expect-error: no such event
      app.on("token.accepted", () => {});
    });
  });

  it("of a route", () => {
    const app = new App();
    neverRun(() => {
      // @ts-expect-error: false, "optional" or "required"
      app.get("/x", { auth: true }, () => "x");
      // @ts-expect-error: no such value
      app.get("/x", { auth: "none" }, () => "x");
      // @ts-expect-error: scopes
      app.get("/x", { scope: ["a"] }, () => "x");
      // @ts-expect-error: a list
      app.get("/x", { roles: "admin" }, () => "x");
      app.get("/x", { rateLimit: [{ requests: 1, window: 1 }] }, () => "x");
      // @ts-expect-error: no such algorithm
      app.get("/x", { rateLimit: { algorithm: "leaky-bucket", requests: 1, window: 1 } }, () => "x");
      // @ts-expect-error: no such header
      app.get("/x", { securityHeaders: { frames: false } }, () => "x");
      // @ts-expect-error: true or false
      app.get("/x", { csrf: "off" }, () => "x");
    });
  });
});
