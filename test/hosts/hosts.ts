import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { App, type Security, type SecurityOptions, Security as SecurityPolicy } from "cello";
import { cello as celloExpress, isSecured } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import express, { type Request as ExpressRequest, type Response as ExpressResponse, type NextFunction } from "express";
import fastify from "fastify";
import { Hono } from "hono";

/** A running host with the routes that every host has. */
export interface RunningHost {
  readonly url: string;
  readonly security: Security;
  close(): Promise<unknown>;
}

/** Starts a host with a policy made of the options. */
export type StartHost = (options: SecurityOptions) => Promise<RunningHost>;

/*
 * Each host serves: GET /me (claims, session value, address), POST /login (regenerates the session and
 * sets a value), GET /own (sets X-Frame-Options itself), GET /logout (destroys the session), GET /cached
 * (reads the session and says itself who may cache it), GET /shared (says that without reading it), GET /vary (sets Vary to what the query says), GET
 * /unchanged (304), GET /fails (throws).
 */

const SHARED = "public, max-age=60";

export const hosts: Readonly<Record<string, StartHost>> = {
  app: async (options) => {
    const app = new App({ trustProxy: options.trustProxy, clock: options.clock });
    if (options.jwt !== undefined && !("verify" in options.jwt)) app.enableJwt(options.jwt);
    if (options.session !== undefined) app.enableSession(options.session);
    if (options.securityHeaders !== undefined) app.enableSecurityHeaders(options.securityHeaders);
    if (options.cors !== undefined) app.enableCors(options.cors);
    if (options.csrf !== undefined) app.enableCsrf(options.csrf);
    for (const limit of [options.rateLimit ?? []].flat()) app.enableRateLimit(limit);
    app.get("/me", (request) => ({
      sub: request.claims?.sub,
      userId: request.session.get("userId"),
      clientIp: request.clientIp,
    }));
    app.post("/login", async (request) => {
      await request.session.regenerate();
      request.session.set("userId", "u1");
      return { ok: true };
    });
    app.get("/own", (_request, reply) => reply.header("X-Frame-Options", "SAMEORIGIN").send({ ok: true }));
    app.get("/logout", async (request) => {
      await request.session.destroy();
      return { ok: true };
    });
    app.get("/cached", (request, reply) =>
      reply.header("Cache-Control", SHARED).send({ userId: request.session.get("userId") }),
    );
    app.get("/shared", (_request, reply) => reply.header("Cache-Control", SHARED).send({ ok: true }));
    app.get("/vary", (request, reply) => reply.header("Vary", varyIn(request.url)).send({ ok: true }));
    app.get("/unchanged", (_request, reply) => reply.code(304).send());
    app.get("/fails", () => {
      throw new Error("a test's error");
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return { url, security: app.security, close: () => app.close() };
  },

  fastify: async (options) => {
    const security = new SecurityPolicy(options);
    const server = fastify();
    await server.register(celloFastify, { security });
    server.get("/me", async (request) => ({
      sub: request.claims?.sub,
      userId: request.session.get("userId"),
      clientIp: request.clientIp,
    }));
    server.post("/login", async (request) => {
      await request.session.regenerate();
      request.session.set("userId", "u1");
      return { ok: true };
    });
    server.get("/own", async (_request, reply) => reply.header("X-Frame-Options", "SAMEORIGIN").send({ ok: true }));
    server.get("/logout", async (request) => {
      await request.session.destroy();
      return { ok: true };
    });
    server.get("/cached", async (request, reply) =>
      reply.header("Cache-Control", SHARED).send({ userId: request.session.get("userId") }),
    );
    server.get("/shared", async (_request, reply) => reply.header("Cache-Control", SHARED).send({ ok: true }));
    server.get("/vary", async (request, reply) => reply.header("Vary", varyIn(request.url)).send({ ok: true }));
    server.get("/unchanged", async (_request, reply) => reply.code(304).send());
    server.get("/fails", async () => {
      throw new Error("a test's error");
    });
    const url = await server.listen({ port: 0, host: "127.0.0.1" });
    return { url, security, close: () => server.close() };
  },

  express: async (options) => {
    const security = new SecurityPolicy(options);
    const app = express();
    app.use(celloExpress(security));
    app.get("/me", (request, response) => {
      response.json({
        sub: request.claims?.sub,
        userId: request.session.get("userId"),
        clientIp: request.clientIp,
      });
    });
    app.post("/login", async (request, response) => {
      await request.session.regenerate();
      request.session.set("userId", "u1");
      response.json({ ok: true });
    });
    app.get("/own", (_request, response) => {
      response.setHeader("X-Frame-Options", "SAMEORIGIN").json({ ok: true });
    });
    app.get("/logout", async (request, response) => {
      await request.session.destroy();
      response.json({ ok: true });
    });
    app.get("/cached", (request, response) => {
      response.setHeader("Cache-Control", SHARED).json({ userId: request.session.get("userId") });
    });
    app.get("/shared", (_request, response) => {
      response.setHeader("Cache-Control", SHARED).json({ ok: true });
    });
    app.get("/vary", (request, response) => {
      response.setHeader("Vary", varyIn(request.url)).json({ ok: true });
    });
    app.get("/unchanged", (_request, response) => {
      response.status(304).end();
    });
    app.get("/fails", () => {
      throw new Error("a test's error");
    });
    app.use(answerBriefly);
    return listen(createServer(app), security);
  },

  "node:http": async (options) => {
    const security = new SecurityPolicy(options);
    const middleware = celloExpress(security);
    const server = createServer((request, response) =>
      middleware(request, response, async (error) => {
        const json = (body: unknown) =>
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
        if (error !== undefined || !isSecured(request)) return response.writeHead(500).end();
        if (request.url === "/me") {
          return json({
            sub: request.claims?.sub,
            userId: request.session.get("userId"),
            clientIp: request.clientIp,
          });
        }
        if (request.url === "/login") {
          await request.session.regenerate();
          request.session.set("userId", "u1");
          return json({ ok: true });
        }
        if (request.url === "/own") {
          return response
            .writeHead(200, { "content-type": "application/json", "x-frame-options": "SAMEORIGIN" })
            .end('{"ok":true}');
        }
        if (request.url === "/logout") {
          await request.session.destroy();
          return json({ ok: true });
        }
        if (request.url === "/cached" || request.url === "/shared") {
          const body = request.url === "/cached" ? { userId: request.session.get("userId") } : { ok: true };
          return response.writeHead(200, { "Cache-Control": SHARED }).end(JSON.stringify(body));
        }
        if (request.url.startsWith("/vary")) return response.writeHead(200, { vary: varyIn(request.url) }).end();
        if (request.url === "/unchanged") return response.writeHead(304).end();
        return response.writeHead(request.url === "/fails" ? 500 : 404).end();
      }),
    );
    return listen(server, security);
  },

  hono: async (options) => {
    const security = new SecurityPolicy(options);
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(celloHono(security));
    app.get("/me", (context) =>
      context.json({
        sub: context.get("claims")?.sub,
        userId: context.get("session").get("userId"),
        clientIp: context.get("clientIp"),
      }),
    );
    app.post("/login", async (context) => {
      await context.get("session").regenerate();
      context.get("session").set("userId", "u1");
      return context.json({ ok: true });
    });
    app.get("/own", (context) => context.json({ ok: true }, 200, { "X-Frame-Options": "SAMEORIGIN" }));
    app.get("/logout", async (context) => {
      await context.get("session").destroy();
      return context.json({ ok: true });
    });
    app.get("/cached", (context) =>
      context.json({ userId: context.get("session").get("userId") }, 200, { "Cache-Control": SHARED }),
    );
    app.get("/shared", (context) => context.json({ ok: true }, 200, { "Cache-Control": SHARED }));
    app.get("/vary", (context) => context.json({ ok: true }, 200, { Vary: varyIn(context.req.url) }));
    app.get("/unchanged", (context) => context.body(null, 304));
    app.get("/fails", () => {
      throw new Error("a test's error");
    });
    app.onError((_error, context) => context.text("", 500));
    return serveFetch(app.fetch, security);
  },

  fetch: async (options) => {
    const security = new SecurityPolicy(options);
    const handler = secure(
      security,
      async (request, secured, _host: object) => {
        switch (new URL(request.url).pathname) {
          case "/me":
            return Response.json({
              sub: secured.claims?.sub,
              userId: secured.session.get("userId"),
              clientIp: secured.clientIp,
            });
          case "/login":
            await secured.session.regenerate();
            secured.session.set("userId", "u1");
            return Response.json({ ok: true });
          case "/own":
            return Response.json({ ok: true }, { headers: { "X-Frame-Options": "SAMEORIGIN" } });
          case "/logout":
            await secured.session.destroy();
            return Response.json({ ok: true });
          case "/cached":
            return Response.json({ userId: secured.session.get("userId") }, { headers: { "Cache-Control": SHARED } });
          case "/shared":
            return Response.json({ ok: true }, { headers: { "Cache-Control": SHARED } });
          case "/vary":
            return Response.json({ ok: true }, { headers: { Vary: varyIn(request.url) } });
          case "/unchanged":
            return new Response(null, { status: 304 });
          case "/fails":
            throw new Error("a test's error");
          default:
            return new Response(null, { status: 404 });
        }
      },
      { onError: () => new Response(null, { status: 500 }) },
    );
    return serveFetch(handler, security);
  },
};

/** The value of `Vary` that a request asks its handler to set: `/vary?Accept`. */
function varyIn(url: string): string {
  return decodeURIComponent(url.slice(url.indexOf("?") + 1));
}

/** Answers an error without a word about it on the console. */
function answerBriefly(
  _error: unknown,
  _request: ExpressRequest,
  response: ExpressResponse,
  _next: NextFunction,
): void {
  response.status(500).end();
}

async function listen(server: Server, security: Security): Promise<RunningHost> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: urlOf(server.address()), security, close: () => closeServer(server) };
}

async function serveFetch(
  fetchHandler: (request: Request, environment: object) => Response | Promise<Response>,
  security: Security,
): Promise<RunningHost> {
  return new Promise((resolve) => {
    const server = serve({ fetch: fetchHandler, port: 0, hostname: "127.0.0.1" }, (info) => {
      resolve({ url: urlOf(info), security, close: () => new Promise((closed) => server.close(closed)) });
    });
  });
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}

function closeServer(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((closed) => server.close(closed));
}
