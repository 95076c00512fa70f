import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { App, type RateLimitConfig, Security } from "cello";
import { cello as celloExpress } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";

/** A host with `POST /login`, `GET /quick` and `GET /never`, which does not answer. */
export interface RunningHost {
  readonly port: number;
  readonly security: Security;
  close(): Promise<unknown>;
}

/** What the handlers of all hosts tell. */
export interface Told {
  logins: number;
}

/** Starts a host behind a limit. */
export type Start = (limit: RateLimitConfig, told: Told) => Promise<RunningHost>;

const forEver = () => new Promise<never>(() => {});

export async function appHost(
  limit: RateLimitConfig,
  told: Told,
  options: ConstructorParameters<typeof App>[0] = {},
): Promise<RunningHost> {
  const app = new App(options);
  app.enableRateLimit(limit);
  app.post("/login", async () => {
    told.logins++;
    return { ok: true };
  });
  app.get("/quick", () => "quick");
  app.get("/never", forEver);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { port: portOf(app.fastify.server.address()), security: app.security, close: () => app.close() };
}

/** Every host over HTTP/1.1. */
export const hosts: Readonly<Record<string, Start>> = {
  App: (limit, told) => appHost(limit, told),
  "cello/fastify": async (limit, told) => {
    const security = new Security({ rateLimit: limit });
    const server = fastify();
    await server.register(celloFastify, { security });
    server.post("/login", async () => {
      told.logins++;
      return { ok: true };
    });
    server.get("/quick", async () => "quick");
    server.get("/never", forEver);
    await server.listen({ port: 0, host: "127.0.0.1" });
    return { port: portOf(server.server.address()), security, close: () => server.close() };
  },
  Express: async (limit, told) => {
    const security = new Security({ rateLimit: limit });
    const app = express();
    app.use(celloExpress(security), express.json());
    app.post("/login", (_request, response) => {
      told.logins++;
      response.json({ ok: true });
    });
    app.get("/quick", (_request, response) => void response.send("quick"));
    app.get("/never", () => {});
    return listen(createServer(app), security);
  },
  "node:http": async (limit, told) => {
    const security = new Security({ rateLimit: limit });
    const layer = celloExpress(security);
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === "/never") return;
      if (request.url === "/login") {
        for await (const _chunk of request);
        told.logins++;
      }
      response.writeHead(200, { "content-type": "text/plain" }).end("done");
    };
    const server = createServer((request, response) =>
      layer(request, response, () => {
        answer(request, response).catch(() => response.destroy());
      }),
    );
    return listen(server, security);
  },
  Hono: async (limit, told) => {
    const security = new Security({ rateLimit: limit });
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(celloHono(security));
    app.post("/login", async (context) => {
      await context.req.json();
      told.logins++;
      return context.json({ ok: true });
    });
    app.get("/quick", (context) => context.text("quick"));
    app.get("/never", forEver);
    return serveFetch(app.fetch, security);
  },
  "cello/fetch": async (limit, told) => {
    const security = new Security({ rateLimit: limit });
    const handler = secure(security, async (request, _secured, _host: object) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/never") return forEver();
      if (pathname === "/login") {
        await request.json();
        told.logins++;
      }
      return new Response("done");
    });
    return serveFetch(handler, security);
  },
};

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

async function listen(server: ReturnType<typeof createServer>, security: Security): Promise<RunningHost> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: portOf(server.address()), security, close: () => closeServer(server) };
}

async function serveFetch(
  fetch: (request: Request, host: object) => Response | Promise<Response>,
  security: Security,
): Promise<RunningHost> {
  return new Promise((resolve) => {
    const server = serve({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
      resolve({ port, security, close: () => new Promise((closed) => server.close(closed)) });
    });
  });
}

function closeServer(server: ReturnType<typeof createServer>): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((closed) => server.close(closed));
}
