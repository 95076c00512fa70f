import { createServer, type RequestListener, type Server } from "node:http";
import { createRequire } from "node:module";
import { App, ConfigError, Security } from "cello";
import { cello as celloExpress } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import express, { type RequestHandler } from "express";
import fastify, { type FastifyInstance, type FastifyPluginCallback } from "fastify";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";

// Not imported: their declarations would be those of all tests, see test/package/beside-sessions.test.ts.
const load = createRequire(import.meta.url);
const secret = "a secret of more than thirty-two bytes, for tests";

const middlewares: Record<string, () => RequestHandler> = {
  "express-session": () => load("express-session")({ secret, resave: false, saveUninitialized: false, name: "old" }),
  "cookie-session": () => load("cookie-session")({ secret, name: "old" }),
};
const plugins: Record<string, (server: FastifyInstance) => Promise<void>> = {
  "@fastify/session": async (server) => {
    const plugin: FastifyPluginCallback<Record<string, unknown>> = load("@fastify/session");
    await server.register(load("@fastify/cookie"));
    await server.register(plugin, { secret, cookie: { secure: false }, cookieName: "old" });
  },
  "@fastify/secure-session": async (server) => {
    const plugin: FastifyPluginCallback<Record<string, unknown>> = load("@fastify/secure-session");
    await server.register(plugin, { key: Buffer.alloc(32, 1), cookieName: "old" });
  },
};

let server: Server | undefined;
const serve = async (listener: RequestListener): Promise<string> => {
  const started = createServer(listener);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const address = started.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
};

/** Asks twice with the cookie of the first answer: what the second one counts. */
async function secondCount(url: string): Promise<unknown> {
  const first = await fetch(url);
  const cookie = first.headers.getSetCookie().map((line) => line.split(";")[0]);
  expect(first.headers.get("x-frame-options")).toBe("DENY");
  const second = await fetch(url, { headers: { cookie: cookie.join("; ") } });
  return second.json();
}

function count(session: unknown): number {
  if (typeof session !== "object" || session === null) throw new Error("no session");
  const views = Number(Reflect.get(session, "views") ?? 0) + 1;
  Reflect.set(session, "views", views);
  return views;
}

afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

describe("a policy without sessions on Express", () => {
  const policy = () => new Security({ securityHeaders: {}, jwt: { secret, required: false } });

  it.each(Object.entries(middlewares))("leaves request.session to %s, in any order", async (_name, middleware) => {
    for (const order of [
      [celloExpress(policy()), middleware()],
      [middleware(), celloExpress(policy())],
    ]) {
      const app = express();
      for (const one of order) app.use(one);
      app.get("/", (request, response) => void response.json(count(request.session)));
      expect(await secondCount(await serve(app))).toBe(2);
      await new Promise((resolve) => server?.close(resolve));
    }
  });

  it("defines nothing of what is off, and what it defines for all can be set by others", async () => {
    const app = express();
    app.use(celloExpress(new Security({ securityHeaders: {} })));
    app.use((request, _response, next) => {
      Object.assign(request, { clientIp: "theirs", rateLimit: { limit: 5 }, token: "t", claims: 1, session: {} });
      next();
    });
    app.get("/", (request, response) => {
      const { clientIp, rateLimit, token } = request;
      response.json({ clientIp, rateLimit, token });
    });
    const answer = await fetch(await serve(app));
    expect(await answer.json()).toEqual({ clientIp: "theirs", rateLimit: { limit: 5 }, token: "t" });
  });
});

describe("a policy with sessions on Express", () => {
  it("says so when another middleware has taken request.session", async () => {
    const app = express();
    app.use(middlewares["express-session"]?.() ?? express.json());
    app.use(celloExpress(new Security({ session: { secret } })));
    app.use(((error, _request, response, _next) => {
      response.status(500).json({ code: error.code, message: error.message });
    }) satisfies express.ErrorRequestHandler);
    const answer = await fetch(await serve(app));
    expect(await answer.json()).toMatchObject({
      code: "CELLO_CONFLICT",
      message: expect.stringContaining("request.session"),
    });
  });
});

describe("a policy without sessions on Fastify", () => {
  it.each(Object.entries(plugins))("leaves request.session to %s, in any order", async (_name, register) => {
    for (const isFirst of [true, false]) {
      const instance = fastify();
      if (!isFirst) await register(instance);
      await instance.register(celloFastify, { security: new Security({ securityHeaders: {} }) });
      if (isFirst) await register(instance);
      instance.get("/", async (request) => count(request.session));
      const url = await instance.listen({ port: 0, host: "127.0.0.1" });
      expect(await secondCount(url)).toBe(2);
      await instance.close();
    }
  });

  it.each(Object.entries(plugins))("leaves request.session to %s in an App", async (_name, register) => {
    const app = new App();
    app.enableSecurityHeaders();
    await register(app.fastify);
    app.get("/", (request) => count(request.session));
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    expect(await secondCount(url)).toBe(2);
    await app.close();
  });
});

describe("a policy with sessions on Fastify", () => {
  it.each(Object.entries(plugins))("says who wants request.session as well: %s", async (_name, register) => {
    const security = () => new Security({ session: { secret } });
    const after = fastify();
    await after.register(celloFastify, { security: security() });
    await register(after);
    await expect(after.listen({ port: 0, host: "127.0.0.1" })).rejects.toThrow(/request\.session/);

    const before = fastify();
    await register(before);
    const late = Promise.resolve(before.register(celloFastify, { security: security() }));
    await expect(late).rejects.toBeInstanceOf(ConfigError);

    const app = new App();
    await register(app.fastify);
    expect(() => app.enableSession({ secret })).toThrow(ConfigError);
  });
});

describe("a policy without sessions on Hono", () => {
  it("sets no variable of what is off", async () => {
    const app = new Hono<{ Variables: CelloVariables & Record<string, unknown> }>();
    app.use(async (context, next) => {
      for (const name of ["session", "claims", "token", "rateLimit"]) context.set(name, "theirs");
      await next();
    });
    app.use(celloHono(new Security()));
    app.get("/", (context) =>
      context.json(["session", "claims", "token", "rateLimit"].map((name) => context.get(name))),
    );
    expect(await (await app.request("/")).json()).toEqual(["theirs", "theirs", "theirs", "theirs"]);
  });
});
