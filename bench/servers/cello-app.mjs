// Cello's App.
import { App, RateLimitConfig } from "../../dist/index.js";
import { NOBODY } from "./contract.mjs";

export async function start({ features, algorithm, verificationKey, sessionSecret, limit }) {
  const app = new App();
  if (features.headers) app.enableSecurityHeaders();
  if (features.limit) app.enableRateLimit(RateLimitConfig.tokenBucket(limit));
  if (features.session) app.enableSession({ secret: sessionSecret });
  if (features.jwt) app.enableJwt({ secret: verificationKey, algorithm, exclude: ["/login"] });

  app.get("/me", (request) => ({
    sub: features.jwt ? request.claims.sub : NOBODY.sub,
    userId: features.session ? request.session.get("userId") : NOBODY.userId,
  }));
  if (features.session) {
    app.get("/login", (request) => {
      request.session.set("userId", request.query.user);
      return { done: true };
    });
    app.get("/write", (request) => {
      const { session } = request;
      session.set("n", (session.get("n") ?? 0) + 1);
      return { sub: features.jwt ? request.claims.sub : NOBODY.sub, userId: session.get("userId") };
    });
    app.get("/count", (request) => ({ n: request.session.get("n") }));
  }
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.fastify.server.address().port;
}
