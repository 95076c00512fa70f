import { createServer, type RequestListener } from "node:http";
import { serve } from "@hono/node-server";
import { CSP, Jwt, Security, type SecurityOptions, type SessionStore } from "cello";
import { cello as celloExpress, isSecured } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";
import { LocalStore, RemoteStore } from "./stores.js";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, fingerprint, header, request, type WireResponse } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const bearer = () => `Authorization: Bearer ${jwt.sign({ sub: "u1" })}`;
const options = (store?: SessionStore): SecurityOptions => ({
  jwt: { secret },
  session: { secret, store },
  securityHeaders: { csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) },
});

interface Running {
  readonly url: string;
  close(): Promise<unknown>;
}

async function listen(listener: RequestListener): Promise<Running> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, close: () => new Promise((resolve) => server.close(resolve)) };
}

/**
 * Each host serves on every path and method: `/throws`, `/crlf` (a line break in a header), `/set` (sets
 * a session value), `/later` (the same, from a timer) and everything else with "secret".
 */
const hosts: Readonly<Record<string, (security: Security) => Promise<Running>>> = {
  fastify: async (security) => {
    const server = fastify();
    await server.register(celloFastify, { security });
    server.all("/*", async (request, reply) => {
      if (request.url === "/throws") throw new Error("hunter2");
      if (request.url === "/set" || request.url === "/later") request.session.set("a", 1);
      if (request.url === "/crlf") reply.header("X-User", "a\r\nX-Evil: 1");
      if (request.url === "/later") await new Promise((resolve) => setTimeout(resolve, 5));
      return "secret";
    });
    const url = await server.listen({ port: 0, host: "127.0.0.1" });
    return { url, close: () => server.close() };
  },

  express: async (security) => {
    const app = express();
    app.use(celloExpress(security));
    app.use((request, response) => {
      if (request.url === "/throws") throw new Error("hunter2");
      if (request.url === "/set" || request.url === "/later") request.session.set("a", 1);
      if (request.url === "/crlf") response.setHeader("X-User", "a\r\nX-Evil: 1");
      if (request.url === "/later") setTimeout(() => response.send("secret"), 5);
      else response.send("secret");
    });
    return listen(app);
  },

  "node:http": (security) => {
    const guard = celloExpress(security);
    return listen((request, response) =>
      guard(request, response, (error) => {
        try {
          if (error !== undefined || !isSecured(request)) throw error;
          if (request.url === "/throws") throw new Error("hunter2");
          if (request.url === "/set" || request.url === "/later") request.session.set("a", 1);
          if (request.url === "/crlf") response.setHeader("X-User", "a\r\nX-Evil: 1");
          if (request.url === "/later") setTimeout(() => response.end("secret"), 5);
          else response.end("secret");
        } catch {
          response.writeHead(500).end();
        }
      }),
    );
  },

  hono: async (security) => {
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(celloHono(security));
    app.onError((_error, context) => context.text("", 500));
    app.all("*", async (context) => {
      if (context.req.path === "/throws") throw new Error("hunter2");
      if (context.req.path === "/set" || context.req.path === "/later") context.get("session").set("a", 1);
      if (context.req.path === "/crlf") context.header("X-User", "a\r\nX-Evil: 1");
      if (context.req.path === "/later") await new Promise((resolve) => setTimeout(resolve, 5));
      return context.text("secret");
    });
    return serveFetch(app.fetch);
  },

  fetch: (security) =>
    serveFetch(
      secure(
        security,
        async (request, { session }) => {
          const { pathname } = new URL(request.url);
          if (pathname === "/throws") throw new Error("hunter2");
          if (pathname === "/set" || pathname === "/later") session.set("a", 1);
          if (pathname === "/later") await new Promise((resolve) => setTimeout(resolve, 5));
          const headers = new Headers();
          if (pathname === "/crlf") headers.set("X-User", "a\r\nX-Evil: 1");
          return new Response("secret", { headers });
        },
        { onError: () => new Response(null, { status: 500 }) },
      ),
    ),
};

async function serveFetch(handler: (request: Request) => Response | Promise<Response>): Promise<Running> {
  return new Promise((resolve) => {
    const server = serve({ fetch: handler, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
      resolve({
        url: `http://127.0.0.1:${port}`,
        close: () => new Promise((closed) => server.close(() => closed(undefined))),
      }),
    );
  });
}

/** Express's own error page has a policy of its own, and a stricter one. */
function expectSecurityHeadersOn(name: string, response: WireResponse): void {
  if (name === "express" && header(response, "content-security-policy") === "default-src 'none'") {
    expect(header(response, "x-frame-options")).toBe("DENY");
    return;
  }
  expectSecurityHeaders(response);
}

describe.each(Object.entries(hosts))("%s", (name, start) => {
  let host: Running;
  afterEach(() => host.close());
  const ask = (line: string, ...headers: string[]) => request(host.url, line, headers);

  it("answers every bad token with the same bytes", async () => {
    host = await start(new Security(options()));
    const expected = fingerprint(await ask("GET /", "Authorization: Bearer x"));
    const good = bearer();
    for (const headers of [
      [`${good}x`],
      [good, good],
      ["Authorization: Bearer"],
      [`Authorization: Bearer ${".".repeat(10_000)}`],
      [`Authorization: Bearer ${jwt.sign({ sub: "u1", exp: 1 })}`],
      [good, "Authorization: Basic eDp5"],
    ]) {
      const response = await ask("GET /", ...headers);
      expect(fingerprint(response)).toBe(expected);
      expectSecurityHeaders(response);
    }
    expect((await ask("GET /", good)).body).toBe("secret");
  });

  it("guards every path and method", async () => {
    host = await start(new Security(options()));
    for (const line of [
      "GET /x",
      "HEAD /x",
      "POST /x",
      "OPTIONS /x",
      "DELETE //x",
      "GET /X/../y",
      "GET /%2e%2e/x",
      "GET /x?y=/open",
      "GET /x%00",
    ]) {
      const response = await ask(line, "Content-Length: 0");
      expect(response.status).toBe(401);
      expectSecurityHeaders(response);
    }
  });

  it("writes the headers when the handler fails, and none that it was tricked into", async () => {
    host = await start(new Security(options()));
    for (const path of ["/throws", "/crlf"]) {
      const response = await ask(`GET ${path}`, bearer());
      expect(response.status).toBe(500);
      expect(header(response, "x-evil")).toBeUndefined();
      expectSecurityHeadersOn(name, response);
    }
  });

  it.each([
    ["a remote store", () => Object.assign(new RemoteStore(), { isDown: true })],
    ["a local store", () => Object.assign(new LocalStore(), { isDown: true })],
    ["a local store that does not say so", () => Object.assign(new LocalStore(false), { isDown: true })],
  ] as const)("answers 503 without a cookie while %s is down", async (_store, createStore) => {
    host = await start(new Security(options(createStore())));
    for (const line of ["GET /set", "GET /later"]) {
      const response = await ask(line, bearer());
      expect(response.status).toBe(503);
      expect(response.body).not.toContain("secret");
      expect(header(response, "set-cookie")).toBeUndefined();
      expect(header(response, "retry-after")).toBe("1");
      expectSecurityHeaders(response);
    }
    expect((await ask("GET /", bearer())).body).toBe("secret");
  });

  it.each([
    ["a remote store", () => new RemoteStore()],
    ["a local store", () => new LocalStore()],
  ] as const)("answers 503 to a session that cannot be read, while %s is down", async (kind, createStore) => {
    const store = createStore();
    host = await start(new Security(options(store)));
    const cookie = (header(await ask("GET /set", bearer()), "set-cookie") ?? "").split(";")[0];
    expect((await ask("GET /set", bearer(), `Cookie: ${cookie}`)).status).toBe(200);
    store.isDown = true;
    const response = await ask("GET /set", bearer(), `Cookie: ${cookie}`);
    expectSecurityHeadersOn(name, response);
    expect(header(response, "set-cookie")).toBeUndefined();
    // The handler of node:http above catches everything itself.
    expect(response.status).toBe(name === "node:http" && kind === "a local store" ? 500 : 503);
  });

  it("asks for a token before a handler of all methods, for what looks like a CORS preflight too", async () => {
    host = await start(new Security(options()));
    const preflight = ["Origin: https://evil.example", "Access-Control-Request-Method: GET"];
    const response = await ask("OPTIONS /x", ...preflight);
    expect(response.body).not.toContain("secret");
  });
});

describe("fetch", () => {
  /** As JavaScript calls it, which no compiler stops. */
  const handle = (answer: () => unknown) => {
    const onError = () => new Response(null, { status: 500 });
    const more = { auth: false, onError };
    const handler: unknown = Reflect.apply(secure, undefined, [new Security(options()), answer, more]);
    if (typeof handler !== "function") throw new TypeError("no handler");
    return async (): Promise<unknown> => handler(new Request("http://app.example/"));
  };

  it("hands on answers that no other response can be made of", async () => {
    const upgrade = Object.create(Response.prototype, { status: { value: 101 }, headers: { value: new Headers() } });
    expect(await handle(() => upgrade)()).toBe(upgrade);
  });

  it("makes an error of an answer that is none", async () => {
    for (const answer of [undefined, null, "text", { status: 200 }, Response.error()]) {
      const response = await handle(() => answer)();
      if (!(response instanceof Response)) return expect.fail("no response");
      expect(response.status).toBe(500);
      expect(response.headers.get("x-frame-options")).toBe("DENY");
    }
  });

  it("keeps the headers on redirects and empty answers", async () => {
    for (const answer of [Response.redirect("http://app.example/x", 302), new Response(null, { status: 204 })]) {
      const response = await handle(() => answer)();
      if (!(response instanceof Response)) return expect.fail("no response");
      expect(response.status).toBe(answer.status);
      expect(response.headers.get("x-frame-options")).toBe("DENY");
    }
  });
});
