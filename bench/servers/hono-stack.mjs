// Hono on Node with its own middleware and the usual third-party ones; the variants differ in key and session.

import { serve } from "@hono/node-server";
import { getConnInfo } from "@hono/node-server/conninfo";
import { Hono } from "hono";
import { jwt } from "hono/jwt";
import { secureHeaders } from "hono/secure-headers";
import { rateLimiter } from "hono-rate-limiter";
import { NOBODY, SECURITY_HEADERS } from "./contract.mjs";

/** secureHeaders' options for the values of the contract, and nothing beside them. */
const SECURE_HEADERS_OPTIONS = {
  strictTransportSecurity: SECURITY_HEADERS["Strict-Transport-Security"],
  xFrameOptions: SECURITY_HEADERS["X-Frame-Options"],
  xContentTypeOptions: SECURITY_HEADERS["X-Content-Type-Options"],
  xXssProtection: SECURITY_HEADERS["X-XSS-Protection"],
  referrerPolicy: SECURITY_HEADERS["Referrer-Policy"],
  crossOriginResourcePolicy: false,
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
};

/**
 * @param settings the benchmark's settings
 * @param options.key what Hono's jwt verifies with
 * @param options.session middleware that sets c.get("session") to something with get(name) and set(name, value)
 */
export function startHono(settings, { key, session }) {
  const { features, algorithm, limit } = settings;
  const app = new Hono();
  if (features.headers) app.use(secureHeaders(SECURE_HEADERS_OPTIONS));
  if (features.limit) {
    app.use(
      rateLimiter({
        windowMs: limit.window * 1000,
        limit: limit.requests,
        standardHeaders: "draft-7",
        keyGenerator: (c) => getConnInfo(c).remote.address ?? "",
      }),
    );
  }
  if (features.session) app.use(session);
  const locked = features.jwt ? [jwt({ secret: key, alg: algorithm })] : [];

  app.get("/me", ...locked, (c) =>
    c.json({
      sub: features.jwt ? c.get("jwtPayload").sub : NOBODY.sub,
      userId: features.session ? c.get("session").get("userId") : NOBODY.userId,
    }),
  );
  if (features.session) {
    app.get("/login", async (c) => {
      await c.get("session").set("userId", c.req.query("user"));
      return c.json({ done: true });
    });
    app.get("/write", ...locked, async (c) => {
      const current = c.get("session");
      await current.set("n", (current.get("n") ?? 0) + 1);
      return c.json({ sub: features.jwt ? c.get("jwtPayload").sub : NOBODY.sub, userId: current.get("userId") });
    });
    app.get("/count", ...locked, (c) => c.json({ n: c.get("session").get("n") }));
  }
  return new Promise((resolve) => {
    serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (info) => resolve(info.port));
  });
}
