import { createServer, type Server } from "node:http";
import fastifyCors from "@fastify/cors";
import { serve } from "@hono/node-server";
import { App, Jwt, RateLimitConfig, Security, type SecurityOptions, type SessionStore } from "cello";
import { cello as celloExpress } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import corsForExpress from "cors";
import express from "express";
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import { cors as corsForHono } from "hono/cors";
import { afterEach, describe, expect, it } from "vitest";
import { header, request } from "../hostile/wire.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const SPA = "https://spa.example";
const corsOptions = { origin: [SPA, "https://other.example"], credentials: true, exposedHeaders: ["Retry-After"] };

interface Running {
  readonly url: string;
  close(): unknown;
}

/** Starts an application with `GET /me`, `ALL /all` and `POST /slow`, which uses the session. */
type Start = (options: SecurityOptions, more?: { readonly preflightContinue?: boolean }) => Promise<Running>;

function listen(server: Server): Promise<Running> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" ? address?.port : undefined;
      resolve({ url: `http://127.0.0.1:${port}`, close: () => server.close() });
    });
  });
}

const inPlugin =
  (order: "before" | "after", hook: "onRequest" | "preParsing" | "preHandler" = "onRequest"): Start =>
  async (options, more = {}) => {
    const server = fastify();
    const security = new Security(options);
    if (order === "before") await server.register(fastifyCors, { ...corsOptions, ...more, hook });
    await server.register(celloFastify, { security });
    if (order === "after") await server.register(fastifyCors, { ...corsOptions, ...more, hook });
    server.get("/me", async () => "me");
    server.all("/all", async () => "secret");
    server.post("/slow", async (incoming) => {
      incoming.session.set("a", 1);
      return "ok";
    });
    return { url: await server.listen({ port: 0, host: "127.0.0.1" }), close: () => server.close() };
  };

const inExpress =
  (create: typeof express, order: "before" | "after"): Start =>
  async (options, more = {}) => {
    const app = create();
    if (order === "before") app.use(corsForExpress({ ...corsOptions, ...more }));
    app.use(celloExpress(new Security(options)));
    if (order === "after") app.use(corsForExpress({ ...corsOptions, ...more }));
    app.get("/me", (_request, response) => void response.send("me"));
    app.all("/all", (_request, response) => void response.send("secret"));
    app.post("/slow", (incoming, response) => {
      incoming.session.set("a", 1);
      response.send("ok");
    });
    return listen(createServer(app));
  };

const inHono =
  (order: "before" | "after"): Start =>
  async (options) => {
    const app = new Hono<{ Variables: CelloVariables }>();
    const cors = corsForHono({ origin: corsOptions.origin, credentials: true, exposeHeaders: ["Retry-After"] });
    if (order === "before") app.use(cors);
    app.use(celloHono(new Security(options)));
    if (order === "after") app.use(cors);
    app.get("/me", (context) => context.text("me"));
    app.all("/all", (context) => context.text("secret"));
    app.post("/slow", (context) => {
      context.get("session").set("a", 1);
      return context.text("ok");
    });
    return new Promise((resolve) => {
      const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
        resolve({ url: `http://127.0.0.1:${port}`, close: () => server.close() });
      });
    });
  };

const inApp: Start = async (options, more = {}) => {
  const app = new App({ clock: options.clock });
  app.enableJwt({ secret });
  if (options.session !== undefined) app.enableSession(options.session);
  for (const limit of [options.rateLimit ?? []].flat()) app.enableRateLimit(limit);
  app.register(fastifyCors, { ...corsOptions, ...more });
  app.get("/me", () => "me");
  app.fastify.all("/all", () => "secret");
  app.post("/slow", (incoming) => {
    incoming.session.set("a", 1);
    return "ok";
  });
  return { url: await app.listen({ port: 0, host: "127.0.0.1" }), close: () => app.close() };
};

/** A store that answers later, and cannot save. */
class FailingStore implements SessionStore {
  async load() {
    return undefined;
  }
  async save(): Promise<never> {
    throw new Error("connection refused");
  }
  async touch() {
    return false;
  }
  async delete() {}
}

const hosts: readonly (readonly [string, Start])[] = [
  ["@fastify/cors in App", inApp],
  ["@fastify/cors before the plugin", inPlugin("before")],
  ["@fastify/cors after the plugin", inPlugin("after")],
  ["@fastify/cors after the plugin, in a later hook", inPlugin("after", "preHandler")],
  ["@fastify/cors after the plugin, in a hook with a payload", inPlugin("after", "preParsing")],
  ["cors before the middleware of Express 5", inExpress(express, "before")],
  ["cors behind the middleware of Express 5", inExpress(express, "after")],
  ["cors before the middleware of Express 4", inExpress(express4, "before")],
  ["cors behind the middleware of Express 4", inExpress(express4, "after")],
  ["hono/cors before the middleware", inHono("before")],
  ["hono/cors behind the middleware", inHono("after")],
];

describe.each(hosts)("%s", (name, start) => {
  let running: Running;
  const origin = `Origin: ${SPA}`;
  const bearer = () => `Authorization: Bearer ${jwt.sign({ sub: "u1" })}`;
  const preflight = [origin, "Access-Control-Request-Method: PUT"];
  const ask = (line: string, ...headers: string[]) => request(running.url, line, headers);
  afterEach(() => running.close());

  const fieldsOf = (response: Awaited<ReturnType<typeof request>>) => [
    header(response, "access-control-allow-origin"),
    header(response, "access-control-allow-credentials"),
    header(response, "access-control-expose-headers"),
  ];
  const expected = [SPA, "true", "Retry-After"];

  it("has its fields on refusals", async () => {
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 2, window: 60 });
    running = await start({ jwt: { secret }, rateLimit });
    for (const [headers, status] of [
      [[], 401],
      [[bearer()], 200],
      [[bearer()], 429],
    ] as const) {
      const response = await ask("GET /me", origin, ...headers);
      expect([response.status, ...fieldsOf(response)]).toEqual([status, ...expected]);
      expect(header(response, "vary")?.toLowerCase()).toBe("origin");
    }
    const stranger = await ask("GET /me", "Origin: https://evil.example");
    expect(header(stranger, "access-control-allow-origin")).toBeUndefined();
  });

  it("has its fields when a session cannot be saved", async () => {
    const store = new FailingStore();
    running = await start({ jwt: { secret }, session: { secret, store } });
    const response = await ask("POST /slow", origin, bearer(), "Content-Length: 0");
    expect([response.status, ...fieldsOf(response)]).toEqual([503, ...expected]);
    expect(header(response, "vary")?.toLowerCase()).toBe("origin");
  });

  it("answers preflights that take no quota and need no token, also where a handler for all methods stands", async () => {
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 1, window: 60 });
    running = await start({ jwt: { secret }, rateLimit });
    for (const path of ["/me", "/all", "/nowhere"]) {
      const response = await ask(`OPTIONS ${path}`, ...preflight);
      expect([response.status, header(response, "access-control-allow-origin")]).toEqual([204, SPA]);
      expect(response.body).toBe("");
    }
    expect((await ask("GET /me", bearer())).status).toBe(200);
  });

  // What is answered in front of Express' and Hono's middleware never comes to it.
  const isSeen = !/^(cors|hono\/cors) before/.test(name);
  it.skipIf(!isSeen)("cannot be used to flood", async () => {
    const nowMs = 1_000_000;
    const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
    running = await start({ jwt: { secret }, clock });
    const head = ["OPTIONS /me HTTP/1.1", "Host: app.example", ...preflight].join("\r\n");
    const socket = await fetchMany(running.url, head, 601);
    expect(socket.filter((status) => status === 204).length).toBe(600);
    const refused = await ask("OPTIONS /me", ...preflight);
    expect([refused.status, ...fieldsOf(refused)]).toEqual([429, ...expected]);
    expect(header(refused, "retry-after")).toBe("1");
    expect(JSON.parse(refused.body)).toMatchObject({ "violated-policies": ["preflight"] });
  });

  it.skipIf(name.startsWith("hono"))("lets nobody through that it only hands on", async () => {
    running = await start({ jwt: { secret } }, { preflightContinue: true });
    const response = await ask("OPTIONS /all", ...preflight);
    expect([response.status, response.body.includes("secret")]).toEqual([401, false]);
    expect(header(response, "access-control-allow-origin")).toBe(SPA);
  });
});

/** Sends a request many times over one connection, and gives the statuses. */
async function fetchMany(url: string, head: string, times: number): Promise<readonly number[]> {
  const { parse, send } = await import("../hostile/wire.js");
  const bytes = `${`${head}\r\n\r\n`.repeat(times - 1)}${head}\r\nConnection: close\r\n\r\n`;
  const received = await send(url, bytes);
  return parse(received).map(({ status }) => status);
}
