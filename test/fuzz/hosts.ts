import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { serve } from "@hono/node-server";
import type { RateLimitConfig, Security, SessionConfig } from "cello";
import type { CelloVariables } from "cello/hono";
import compression from "compression";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { Hono } from "hono";
import onHeaders from "on-headers";
import { answerFetch } from "./fetch-handler.js";
import { answerNode } from "./node-handler.js";
import type { CelloSources } from "./sources.js";
import { countHeads, PAGE, redactWrites } from "./wrappers.js";

/** The protections of a host. */
export interface FuzzPolicy {
  readonly session: SessionConfig;
  readonly rateLimit: RateLimitConfig;
}

/** A host that runs. */
export interface FuzzHost {
  readonly port: number;
  readonly security: Security;
}

type Start = (cello: CelloSources, policy: FuzzPolicy) => Promise<FuzzHost>;

/** Every host, by the name that `--host` takes. */
export const hosts: Readonly<Record<string, Start>> = {
  app: (cello, policy) => startApp(cello, policy, false),
  http2: (cello, policy) => startApp(cello, policy, true),
  fastify: async ({ core, fastify: { cello } }, policy) => {
    const security = new core.Security({ ...policy, securityHeaders: {} });
    const server = fastify();
    await server.register(cello, { security });
    addRoutes(server);
    await server.listen({ port: 0, host: "127.0.0.1" });
    return { port: portOf(server.server.address()), security };
  },
  express: async ({ core, express: { cello } }, policy) => {
    const security = new core.Security({ ...policy, securityHeaders: {} });
    const app = express();
    app.use(cello(security), compression({ threshold: 0 }), listenForHeaders);
    app.use((_request, response, next) => {
      redactWrites(response);
      next();
    });
    app.post("/login", express.json());
    app.use((request, response, next) => {
      answerNode(request, response).catch(next);
    });
    return listen(createServer(app), security);
  },
  "node:http": async ({ core, express: { cello } }, policy) => {
    const security = new core.Security({ ...policy, securityHeaders: {} });
    const layer = cello(security);
    const server = createServer((request, response) =>
      layer(request, response, () => {
        countHeads(response);
        redactWrites(response);
        answerNode(request, response).catch(() => {
          if (!response.headersSent) response.writeHead(500);
          response.end();
        });
      }),
    );
    return listen(server, security);
  },
  hono: async ({ core, hono: { cello } }, policy) => {
    const security = new core.Security({ ...policy, securityHeaders: {} });
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(cello(security));
    app.all("*", (context) => answerFetch(context.req.raw, context.get("session")));
    return serveFetch(app.fetch, security);
  },
  fetch: async ({ core, fetch: { secure } }, policy) => {
    const security = new core.Security({ ...policy, securityHeaders: {} });
    const handler = secure(security, (request, { session }, _host: object) => answerFetch(request, session), {
      onError: () => new Response("an error", { status: 500 }),
    });
    return serveFetch(handler, security);
  },
};

/** Hosts that speak HTTP/2. */
export const isHttp2Host = (host: string): boolean => host === "http2";

async function startApp({ core }: CelloSources, policy: FuzzPolicy, http2: boolean): Promise<FuzzHost> {
  const app = new core.App({ http2 });
  app.enableSession(policy.session);
  app.enableRateLimit(policy.rateLimit);
  app.enableSecurityHeaders();
  addRoutes(app.fastify);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { port: portOf(app.fastify.server.address()), security: app.security };
}

/** The routes of {@link answerNode}, in Fastify's own way where it has one. */
function addRoutes(server: FastifyInstance): void {
  server.addHook("onRequest", (_request, reply, done) => {
    redactWrites(reply.raw);
    done();
  });
  server.get("/quick", async () => "quick");
  server.get("/page", (_request, reply) => reply.type("text/plain").send(Readable.from(linesOf(PAGE))));
  server.get("/session", async (request) => {
    request.session.set("visits", Number(request.session.get("visits") ?? 0) + 1);
    return "visited";
  });
  server.post("/login", async (request) => {
    await request.session.regenerate();
    request.session.set("user", "u1");
    return { ok: true };
  });
  server.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  server.all("/*", (request, reply) => {
    reply.hijack();
    answerNode(request.raw, reply.raw).catch(() => {
      if (!reply.raw.headersSent) reply.raw.writeHead(500);
      reply.raw.end();
    });
  });
}

function* linesOf(page: string): Generator<string> {
  for (let at = 0; at < page.length; at += 2800) yield page.slice(at, at + 2800);
}

/** A listener that must hear of every head behind it. */
function listenForHeaders(_request: express.Request, response: express.Response, next: express.NextFunction): void {
  onHeaders(response, () => {
    response.setHeader("X-Heard", "1");
  });
  next();
}

async function listen(server: Server, security: Security): Promise<FuzzHost> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: portOf(server.address()), security };
}

async function serveFetch(
  fetch: (request: Request, host: object) => Response | Promise<Response>,
  security: Security,
): Promise<FuzzHost> {
  return new Promise((resolve) => {
    serve({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => resolve({ port, security }));
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}
