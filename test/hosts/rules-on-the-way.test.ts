import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import { ConfigError, MemoryRateLimitStore, RateLimitConfig, type RateLimitStore, Security } from "cello";
import { cello as celloExpress } from "cello/express";
import { cello as celloHono } from "cello/hono";
import express from "express";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
type Options = Parameters<typeof celloExpress>[1];

/** A middleware for all paths, a further one with options for each of these paths, and an answer for all. */
type Start = (security: Security, global: Options, rules: Readonly<Record<string, Options>>) => Promise<Server>;

const hosts: readonly (readonly [string, Start])[] = [
  [
    "Express",
    async (security, global, rules) => {
      const app = express();
      app.use(celloExpress(security, global));
      for (const [path, options] of Object.entries(rules)) app.use(path, celloExpress(security, options));
      app.use((request, response) => {
        response.json({ sub: request.claims?.sub });
      });
      return new Promise((resolve) => {
        const server = app.listen(0, "127.0.0.1", () => resolve(server));
      });
    },
  ],
  [
    "Hono",
    async (security, global, rules) => {
      const app = new Hono<{ Variables: { claims?: { sub?: string } } }>();
      app.use(celloHono(security, global));
      for (const [path, options] of Object.entries(rules)) app.use(`${path}/*`, celloHono(security, options));
      app.all("*", (context) => context.json({ sub: context.get("claims")?.sub }));
      return new Promise((resolve) => {
        const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(server as Server));
      });
    },
  ],
];

/** Answers later, as a store behind a network does. */
function slowStore(): RateLimitStore {
  const memory = new MemoryRateLimitStore();
  return {
    consume: async (...args) => memory.consume(...args),
    peek: async (...args) => memory.peek(...args),
    reset: async (...args) => memory.reset(...args),
  };
}

describe.each(hosts)("in %s, a second cello() on the way of a request", (_host, start) => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  const limit = (requests: number, name = "default", more = {}) =>
    RateLimitConfig.slidingWindow({ name, requests, window: 600, ...more });
  const wholePolicy = () => new Security({ jwt: { secret }, securityHeaders: {}, rateLimit: limit(100) });
  const token = (security: Security, claims: object) => `Bearer ${security.jwt?.sign({ sub: "u1", ...claims })}`;

  async function ask(path: string, headers: Record<string, string> = {}): Promise<Response> {
    const address = server?.address();
    if (typeof address !== "object" || address === null) throw new Error("nobody listens");
    return fetch(`http://127.0.0.1:${address.port}${path}`, { headers });
  }

  it("counts and verifies nothing twice", async () => {
    const security = wholePolicy();
    server = await start(security, {}, { "/admin": { roles: ["admin"] } });
    const authorization = token(security, { roles: ["admin"] });
    expect((await ask("/admin/x", { authorization })).headers.get("ratelimit")).toMatch(/^"default";r=99;t=\d+$/);
    const second = await ask("/admin/x", { authorization });
    expect(second.headers.get("ratelimit")).toMatch(/^"default";r=98;t=\d+$/);
    expect(await second.json()).toEqual({ sub: "u1" });
  });

  it("adds roles and scopes that hold, with the challenge and the headers of every refusal", async () => {
    const security = wholePolicy();
    server = await start(security, {}, { "/admin": { roles: ["admin"] }, "/admin/write": { scopes: ["write"] } });
    const refused = await ask("/admin/x", { authorization: token(security, {}) });
    expect(refused.status).toBe(403);
    expect(refused.headers.get("www-authenticate")).toContain("insufficient_scope");
    expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
    const admin = { authorization: token(security, { roles: ["admin"] }) };
    expect((await ask("/admin/x", admin)).status).toBe(200);
    expect((await ask("/admin/write/x", admin)).status).toBe(403);
    const both = { authorization: token(security, { roles: ["admin"], scope: "write" }) };
    expect((await ask("/admin/write/x", both)).status).toBe(200);
    expect((await ask("/elsewhere", { authorization: token(security, {}) })).status).toBe(200);
  });

  it("asks for the token that the middleware in front let be absent or did not look at", async () => {
    const security = wholePolicy();
    for (const auth of ["optional", false] as const) {
      server = await start(security, { auth }, { "/me": { auth: "required" } });
      expect((await ask("/open")).status).toBe(200);
      expect((await ask("/me/x")).status).toBe(401);
      expect((await ask("/me/x", { authorization: "Bearer no.such.token" })).status).toBe(401);
      expect(await (await ask("/me/x", { authorization: token(security, {}) })).json()).toEqual({ sub: "u1" });
      server.close();
    }
  });

  it.each([
    ["in memory", () => undefined],
    ["in a store that answers later", slowStore],
  ])("adds limits, and puts one in the place of its namesake (%s)", async (_where, makeStore) => {
    const store = makeStore();
    const security = new Security({ rateLimit: limit(100, "default", { store }) });
    server = await start(
      security,
      {},
      {
        "/both": { rateLimit: limit(1, "own", { store }) },
        "/instead": { rateLimit: limit(3, "default", { store }) },
        "/none": { rateLimit: false },
      },
    );
    expect((await ask("/both/x")).headers.get("ratelimit-policy")).toBe('"own";q=1;w=600, "default";q=100;w=600');
    const refused = await ask("/both/x");
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ "violated-policies": ["own"] });
    expect((await ask("/instead/x")).headers.get("ratelimit")).toMatch(/^"default";r=2;/);
    expect((await ask("/none/x")).headers.get("ratelimit")).toBeNull();
    // Two requests to /both have taken of the limit in front, as they passed it, also the one that was refused then.
    expect((await ask("/rest")).headers.get("ratelimit")).toMatch(/^"default";r=97;/);
  });

  it("changes the headers of its answers, and those of no other", async () => {
    const security = new Security({ securityHeaders: {} });
    server = await start(security, {}, { "/framed": { securityHeaders: { xFrameOptions: "SAMEORIGIN" } } });
    expect((await ask("/framed/x")).headers.get("x-frame-options")).toBe("SAMEORIGIN");
    expect((await ask("/rest")).headers.get("x-frame-options")).toBe("DENY");
  });

  it("says once that what would open opens nothing, and what is wrong at start-up", async () => {
    const security = wholePolicy();
    const warnings: string[] = [];
    security.on("config.warning", ({ code }) => warnings.push(code));
    server = await start(security, {}, { "/open": { auth: false } });
    expect((await ask("/open/x")).status).toBe(401);
    expect((await ask("/open/x", { authorization: token(security, {}) })).status).toBe(200);
    expect((await ask("/open/x", { authorization: token(security, {}) })).status).toBe(200);
    expect(warnings.filter((code) => code === "CELLO_ROUTE_OPENS_NOTHING")).toHaveLength(1);
    const withoutTokens = new Security({ securityHeaders: {} });
    await expect(start(withoutTokens, {}, { "/x": { roles: ["admin"] } })).rejects.toThrow(ConfigError);
  });
});
