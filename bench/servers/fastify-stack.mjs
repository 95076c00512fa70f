// Fastify with its own plugins; the two variants differ in how tokens are verified and where sessions live.
import cookie from "@fastify/cookie";
import helmet from "@fastify/helmet";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import fastify from "fastify";
import { HELMET_OPTIONS, NOBODY, SECURITY_HEADERS } from "./contract.mjs";

/**
 * @param settings the benchmark's settings
 * @param options.jwtVerify verification options of @fastify/jwt beside the algorithm
 * @param options.registerSession registers cookies and sessions, so that request.session can be read and written
 * @param options.read / options.write how that session is read and written
 */
export async function startFastify(settings, { jwtVerify, registerSession, read, write }) {
  const { features, algorithm, verificationKey, limit } = settings;
  const app = fastify();
  if (features.headers) {
    await app.register(helmet, HELMET_OPTIONS);
    app.addHook("onRequest", (_request, reply, done) => {
      reply.header("X-XSS-Protection", SECURITY_HEADERS["X-XSS-Protection"]);
      done();
    });
  }
  if (features.limit) await app.register(rateLimit, { max: limit.requests, timeWindow: limit.window * 1000 });
  if (features.session) {
    await app.register(cookie);
    await registerSession(app);
  }
  if (features.jwt) await registerTokens(app, algorithm, verificationKey, jwtVerify);

  const onRequest = features.jwt ? [app.authenticate] : [];
  app.get("/me", { onRequest }, async (request) => ({
    sub: features.jwt ? request.user.sub : NOBODY.sub,
    userId: features.session ? read(request.session, "userId") : NOBODY.userId,
  }));
  if (features.session) {
    app.get("/login", async (request) => {
      write(request.session, "userId", request.query.user);
      return { done: true };
    });
    app.get("/write", { onRequest }, async (request) => {
      write(request.session, "n", (read(request.session, "n") ?? 0) + 1);
      return { sub: features.jwt ? request.user.sub : NOBODY.sub, userId: read(request.session, "userId") };
    });
    app.get("/count", { onRequest }, async (request) => ({ n: read(request.session, "n") }));
  }
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.server.address().port;
}

async function registerTokens(app, algorithm, key, verify) {
  const secret = algorithm.startsWith("HS") ? key : { public: key };
  await app.register(jwt, { secret, verify: { algorithms: [algorithm], ...verify } });
  app.decorate("authenticate", async (request, reply) => {
    try {
      await request.jwtVerify();
    } catch (error) {
      reply.send(error);
    }
  });
}
