import { App, CSP, JwtConfig, RateLimitConfig, SecurityHeadersConfig, SessionConfig } from "cello";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const JWT_SECRET = "a secret of more than thirty-two bytes, for tests";
const SESSION_SECRET = "another secret of more than thirty-two bytes, for tests";

interface Types {
  claims: { sub: string; roles: string[] };
  session: { userId: string };
}

function createApp() {
  const app = new App<Types>();
  app.enableJwt(
    new JwtConfig({ secret: JWT_SECRET, algorithm: "HS256", expiration: 900, exclude: ["/login", "/health"] }),
  );
  const csp = new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE);
  app.enableSecurityHeaders(new SecurityHeadersConfig({ hsts: true, xFrameOptions: "DENY", csp }));
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100, window: 60 }));
  app.enableSession(new SessionConfig({ secret: SESSION_SECRET }));

  app.post("/login", { rateLimit: RateLimitConfig.slidingWindow({ requests: 5, window: 300 }) }, async (request) => {
    await request.session.regenerate();
    request.session.set("userId", "u1");
    return { token: app.jwt.sign({ sub: "u1", roles: ["admin"] }), expiresIn: 900 };
  });
  app.get("/me", (request) => ({ sub: request.claims.sub, userId: request.session.get("userId") }));
  app.get("/health", () => ({ ok: true }));
  app.get("/nonce", { auth: false }, (request) => ({ nonce: request.cspNonce }));
  app.get("/admin", { roles: ["root"] }, () => "never");
  app.get("/scoped", { scopes: ["a", "b"] }, () => "never");
  return app;
}

describe("everything on", () => {
  let app: App<Types>;
  let url: string;

  beforeEach(async () => {
    app = createApp();
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  });
  afterEach(() => app.close());

  const login = async () => {
    const response = await fetch(`${url}/login`, { method: "POST" });
    const body: unknown = await response.json();
    const token = typeof body === "object" && body !== null && "token" in body ? String(body.token) : "";
    const cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    return { response, token, cookie };
  };

  it("signs in, then reads claims and session on the next request", async () => {
    const { response, token, cookie } = await login();
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("set-cookie")).toMatch(/^session_id=.+; .*HttpOnly/);
    const me = await fetch(`${url}/me`, { headers: { authorization: `Bearer ${token}`, cookie } });
    expect(me.status).toBe(200);
    expect(await me.json()).toEqual({ sub: "u1", userId: "u1" });
    expect(me.headers.get("set-cookie")).toBeNull();
  });

  it("writes the default header values on every response, those of errors included", async () => {
    for (const [path, status] of [
      ["/health", 200],
      ["/me", 401],
      ["/nowhere", 401],
      ["/%zz", 401],
    ] as const) {
      const response = await fetch(`${url}${path}`);
      expect(response.status).toBe(status);
      const { headers } = response;
      expect(headers.get("strict-transport-security")).toBe("max-age=31536000; includeSubDomains");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-xss-protection")).toBe("1; mode=block");
      expect(headers.get("referrer-policy")).toBe("strict-origin-when-cross-origin");
      expect(headers.get("content-security-policy")).toMatch(
        /^default-src 'self'; script-src 'self' 'nonce-[A-Za-z0-9+/]{22}=='$/,
      );
      expect(headers.get("ratelimit-policy")).toBe('"default";q=100;w=60');
      expect(headers.get("ratelimit")).toMatch(/^"default";r=\d+;t=\d+$/);
    }
  });

  it("gives the handler the nonce that stands in its response's policy", async () => {
    const response = await fetch(`${url}/nonce`);
    const body: unknown = await response.json();
    const nonce = response.headers.get("content-security-policy")?.match(/'nonce-([^']+)'/)?.[1];
    expect(body).toEqual({ nonce });
  });

  it("refuses no token, a bad token and a token without the role, each in its own way", async () => {
    const { token } = await login();
    const none = await fetch(`${url}/me`);
    expect(none.status).toBe(401);
    expect(none.headers.get("www-authenticate")).toBe("Bearer");
    const bad = await fetch(`${url}/me`, { headers: { authorization: `Bearer ${token}x` } });
    expect(bad.status).toBe(401);
    expect(bad.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect(bad.headers.get("content-type")).toBe("application/problem+json");
    const role = await fetch(`${url}/admin`, { headers: { authorization: `Bearer ${token}` } });
    expect(role.status).toBe(403);
    const scope = await fetch(`${url}/scoped`, { headers: { authorization: `Bearer ${token}` } });
    expect(scope.status).toBe(403);
    expect(scope.headers.get("www-authenticate")).toBe('Bearer error="insufficient_scope", scope="a b"');
  });

  it("holds a route to its own limit in the place of the app's", async () => {
    for (let attempt = 0; attempt < 5; attempt++) expect((await login()).response.status).toBe(200);
    const { response } = await login();
    expect(response.status).toBe(429);
    expect(response.headers.get("ratelimit-policy")).toBe('"default";q=5;w=300');
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(290);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  it("answers an unknown path with problem details once the token is there", async () => {
    const { token } = await login();
    const response = await fetch(`${url}/nowhere`, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({ type: "about:blank", title: "Not Found", status: 404 });
  });

  it("refuses a cross-site post that carries the session cookie", async () => {
    const { cookie } = await login();
    const response = await fetch(`${url}/login`, {
      method: "POST",
      headers: { cookie, "sec-fetch-site": "cross-site" },
    });
    expect(response.status).toBe(403);
  });

  it("works the same without a socket", async () => {
    const response = await app.inject({ method: "GET", url: "/health" });
    expect(response.statusCode).toBe(200);
    expect(response.headers["x-frame-options"]).toBe("DENY");
  });
});
