import { App, CSP, Jwt, type JwtClaims, RateLimitConfig } from "cello";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, request } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const bearer = () => `Authorization: Bearer ${jwt.sign({ sub: "u1" })}`;

async function start(options: ConstructorParameters<typeof App>[0] = {}) {
  const app = new App(options);
  app.enableJwt({ secret, exclude: ["/login", "/public/*", "/files/open*", "/v1"] });
  app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100_000, window: 1, exclude: ["/login"] }));
  app.get("/login", () => "login");
  app.get("/me", () => "secret");
  app.get("/v1", () => "v1");
  app.get("/v1/me", () => "secret");
  app.get("/public/*", () => "public");
  app.get("/files/:name", (request) => {
    const { params } = request;
    return typeof params === "object" && params !== null && "name" in params ? `file ${params.name}` : "";
  });
  app.get("/admin/:id", { auth: false }, () => "open");
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, url };
}

describe("an excluded path", () => {
  let app: App;
  let url: string;
  const status = async (target: string, ...headers: string[]) => {
    const response = await request(url, `GET ${target}`, headers);
    expectSecurityHeaders(response);
    return response.status;
  };

  beforeAll(async () => {
    ({ app, url } = await start());
  });
  afterAll(() => app.close());

  it.each(["/login", "/login?x=/me", "/%6Cogin", "/%6c%6f%67%69%6e", "/public/a", "/public/a/b", "/public/%41", "/v1"])(
    "is open as the router sees it: %s",
    async (target) => {
      expect(await status(target)).toBe(200);
    },
  );

  it.each([
    "/LOGIN",
    "/Login",
    "//login",
    "/login/",
    "/login//",
    "/./login",
    "/x/../login",
    "/login/.",
    "/login/..",
    "/login;x",
    "/login;/me",
    "/login%00",
    "/login%20",
    "/login%2f",
    "/login%2f..%2fme",
    "/%2flogin",
    "/%252e/login",
    "/login%3fx",
    "/login\\",
    "/public",
    "/publicx",
    "/PUBLIC/a",
    "//public/a",
    "/public//a",
    "/public/../me",
    "/public/./me",
    "/public/..",
    "/public/a/../../me",
    "/public/%2e%2e/me",
    "/public/%2E%2e/me",
    "/public/.%2e/me",
    "/public%2f..%2fme",
    "/public/..%2fme",
    "/public/..%5cme",
    "/public/..\\me",
    "/public/%5c..%5cme",
    "/public/a%00",
    "/public/%c0%ae%c0%ae/me",
    "/public/%",
    "/public/%zz",
    "/public/%e0%a4%a",
    "/v1/",
    "/v1/me",
    "/v1%2fme",
    "/v1/../me",
    "/me",
    "/me/",
    "/ME",
    "//me",
    "/%6de",
    "/nowhere",
    "/%",
    "/%zz",
    "/%ff",
    "/files/secret",
    "/files/OPEN",
    "/files/open/../secret",
    "/files/open%2f..%2fsecret",
    "/files/..%2fopen",
    "/files/%2e%2e",
    `/files/${"a".repeat(2000)}`,
    "*",
    "/*",
    "/:id",
    "/admin",
    "/admin/x/y",
  ])("is not opened by a spelling that the router takes for something else: %s", async (target) => {
    expect(await status(target)).toBe(401);
  });

  it("is decided by the value where the route has a parameter", async () => {
    expect(await status("/files/open")).toBe(200);
    expect(await status("/files/open.txt")).toBe(200);
    expect(await status("/files/%6fpen.txt")).toBe(200);
    expect(await status("/files/ope")).toBe(401);
    expect(await status("/files/xopen")).toBe(401);
  });

  it("does not hide a route that is there with a token", async () => {
    expect(await status("/me", bearer())).toBe(200);
    expect(await status("/files/secret", bearer())).toBe(200);
    expect(await status("/LOGIN", bearer())).toBe(404);
    expect(await status("/%zz", bearer())).toBe(400);
    expect(await status(`/files/${"a".repeat(2000)}`, bearer())).toBe(414);
  });

  it("opens nothing for a request target in another form", async () => {
    expect(await status("http://app.example/me")).toBe(401);
    expect(await status("http://evil.example/login/../me")).toBe(401);
    expect(await status("http://evil.example/public/../me")).toBe(401);
    expect(await status("http://app.example/files/open")).toBe(401);
    expect((await request(url, "OPTIONS *")).status).toBe(401);
  });

  it("has an open HEAD where its GET is open, and no more", async () => {
    expect((await request(url, "HEAD /login")).status).toBe(200);
    expect((await request(url, "HEAD /me")).status).toBe(401);
    expect((await request(url, "HEAD /v1/me")).status).toBe(401);
    expect((await request(url, "HEAD /files/open")).status).toBe(200);
    expect((await request(url, "HEAD /files/secret")).status).toBe(401);
  });

  it("is open in its path for every method, and the router then has nothing there", async () => {
    for (const method of ["OPTIONS", "TRACE", "DELETE", "PROPFIND"]) {
      const response = await request(url, `${method} /login`);
      expect(response.status).toBe(404);
      expectSecurityHeaders(response);
      expect((await request(url, `${method} /me`)).status).toBe(401);
    }
  });
});

describe("a router that sees more paths as the same", () => {
  it("takes the excluded path along, and no other", async () => {
    const { app, url } = await start({
      routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    });
    const status = async (target: string) => (await request(url, `GET ${target}`)).status;
    for (const target of ["/LOGIN", "/login/", "//login", "/%4Cogin/"]) expect(await status(target)).toBe(200);
    for (const target of ["/ME", "/me/", "//me", "/V1/ME", "/v1//me/", "/Files/Secret", "//files/open"]) {
      expect(await status(target)).toBe(401);
    }
    await app.close();
  });

  it("does not let a semicolon split the path differently for the router and the layer", async () => {
    const { app, url } = await start({ useSemicolonDelimiter: true });
    const status = async (target: string) => (await request(url, `GET ${target}`)).status;
    expect(await status("/login;x=1")).toBe(200);
    expect(await status("/me;/../login")).toBe(401);
    expect(await status("/files/secret;/files/open")).toBe(401);
    await app.close();
  });
});

describe("a prefix under which routes were declared", () => {
  it("does not change what a pattern means", async () => {
    const app = new App().enableJwt({ secret, exclude: ["/api/open"] });
    app.register(
      async (fastify) => {
        fastify.get("/open", async () => "x");
        fastify.get("/shut", async () => "x");
      },
      { prefix: "/api" },
    );
    const statusOf = async (url: string) => (await app.inject(url)).statusCode;
    expect(await statusOf("/api/open")).toBe(200);
    expect(await statusOf("/open")).toBe(401);
    expect(await statusOf("/api/shut")).toBe(401);
    expect(await statusOf("/api/nowhere")).toBe(401);
    await app.close();
  });
});

describe("a route that names scopes under an excluded path", () => {
  it("looks at the token", async () => {
    const app = new App().enableJwt({ secret, exclude: ["/public/*"] });
    app.get("/public/admin", { scopes: ["admin"] }, () => "x");
    app.get("/public/:name", { roles: ["admin"] }, () => "x");
    const statusOf = async (url: string, claims?: JwtClaims) => {
      const headers = claims === undefined ? {} : { authorization: `Bearer ${jwt.sign(claims)}` };
      const response = await app.inject({ url, headers });
      return response.statusCode;
    };
    for (const url of ["/public/admin", "/public/other"]) {
      expect(await statusOf(url)).toBe(401);
      expect(await statusOf(url, { sub: "u1" })).toBe(403);
      expect(await statusOf(url, { scope: "admin", roles: ["admin"] })).toBe(200);
    }
    await app.close();
  });
});
