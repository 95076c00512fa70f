// Express 5 with the middleware that its users reach for; the variants differ in key and session.

import { createServer } from "node:http";
import express from "express";
import { expressjwt } from "express-jwt";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import { HELMET_OPTIONS, listening, NOBODY, SECURITY_HEADERS } from "./contract.mjs";

/**
 * @param settings the benchmark's settings
 * @param options.key what express-jwt verifies with
 * @param options.session the session middleware
 */
export function startExpress(settings, { key, session }) {
  const { features, algorithm, limit } = settings;
  const app = express();
  if (features.headers) {
    app.use(helmet(HELMET_OPTIONS));
    app.use((_request, response, next) => {
      response.setHeader("X-XSS-Protection", SECURITY_HEADERS["X-XSS-Protection"]);
      next();
    });
  }
  if (features.limit) {
    app.use(
      rateLimit({
        windowMs: limit.window * 1000,
        limit: limit.requests,
        standardHeaders: "draft-8",
        legacyHeaders: false,
      }),
    );
  }
  if (features.session) app.use(session);
  if (features.jwt) app.use(expressjwt({ secret: key, algorithms: [algorithm] }).unless({ path: ["/login"] }));

  app.get("/me", (request, response) => {
    response.json({
      sub: features.jwt ? request.auth.sub : NOBODY.sub,
      userId: features.session ? request.session.userId : NOBODY.userId,
    });
  });
  if (features.session) {
    app.get("/login", (request, response) => {
      request.session.userId = request.query.user;
      response.json({ done: true });
    });
    app.get("/write", (request, response) => {
      request.session.n = (request.session.n ?? 0) + 1;
      response.json({ sub: features.jwt ? request.auth.sub : NOBODY.sub, userId: request.session.userId });
    });
    app.get("/count", (request, response) => response.json({ n: request.session.n }));
  }
  app.use((error, _request, response, _next) => {
    response.status(error.status ?? 500).json({ error: error.code ?? "error" });
  });
  return listening(createServer(app));
}
