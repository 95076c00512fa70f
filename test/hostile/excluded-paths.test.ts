import { createServer, type RequestListener, type Server } from "node:http";
import { serve } from "@hono/node-server";
import { App, RateLimitConfig, Security, type SecurityOptions } from "cello";
import { cello as celloExpress } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { cello as celloHono } from "cello/hono";
import express from "express";
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { request } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const exclude = ["/login", "/public/*"];
const jwt: SecurityOptions = { jwt: { secret, exclude } };

interface Running {
  readonly url: string;
  close(): unknown;
}

function listen(listener: RequestListener): Promise<Running> {
  const server: Server = createServer(listener);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" ? address?.port : undefined;
      const close = () => {
        server.closeAllConnections();
        server.close();
      };
      resolve({ url: `http://127.0.0.1:${port}`, close });
    });
  });
}

function serveFetch(fetch: (request: Request, environment: object) => Response | Promise<Response>): Promise<Running> {
  return new Promise((resolve) => {
    const server = serve({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
      resolve({ url: `http://127.0.0.1:${port}`, close: () => server.close() });
    });
  });
}

/** Each has the routes `/login`, `/public/:name`, `/:user` and `/:user/:thing`, and says which one ran. */
const routers: Readonly<Record<string, (options: SecurityOptions) => Promise<Running>>> = {
  "Express 5": (options) => {
    const app = express();
    app.use(celloExpress(new Security(options)));
    app.get("/login", (_request, response) => void response.send("login"));
    app.get("/public/:name", (_request, response) => void response.send("public"));
    app.get("/:user", (_request, response) => void response.send("user"));
    app.get("/:user/:thing", (_request, response) => void response.send("user"));
    app.use((_request, response) => void response.status(404).send("none"));
    return listen(app);
  },
  "Express 4": (options) => {
    const app = express4();
    app.use(celloExpress(new Security(options)));
    app.get("/login", (_request, response) => void response.send("login"));
    app.get("/public/:name", (_request, response) => void response.send("public"));
    app.get("/:user", (_request, response) => void response.send("user"));
    app.get("/:user/:thing", (_request, response) => void response.send("user"));
    app.use((_request, response) => void response.status(404).send("none"));
    return listen(app);
  },
  Hono: (options) => {
    const app = new Hono();
    app.use(celloHono(new Security(options)));
    app.get("/login", (context) => context.text("login"));
    app.get("/public/:name", (context) => context.text("public"));
    app.get("/:user", (context) => context.text("user"));
    app.get("/:user/:thing", (context) => context.text("user"));
    return serveFetch(app.fetch);
  },
  fetch: (options) => {
    const handler = secure(new Security(options), (incoming, _secured, _host: object) => {
      const { pathname } = new URL(incoming.url);
      if (pathname === "/login") return new Response("login");
      return new Response(/^\/public\/[^/]+$/.test(pathname) ? "public" : "user");
    });
    return serveFetch(handler);
  },
  "node:http, with a router that decodes": (options) => {
    const middleware = celloExpress(new Security(options));
    return listen((incoming, response) =>
      middleware(incoming, response, () => {
        const path = decodeLoosely((incoming.url ?? "").split("?")[0] ?? "");
        response.end(path === "/login" ? "login" : path.startsWith("/public/") ? "public" : "user");
      }),
    );
  },
  Fastify: async (options) => {
    const app = fastify();
    await app.register(celloFastify, { security: new Security(options) });
    app.get("/login", async () => "login");
    app.get("/public/:name", async () => "public");
    app.get("/:user", async () => "user");
    app.get("/:user/:thing", async () => "user");
    return { url: await app.listen({ port: 0, host: "127.0.0.1" }), close: () => app.close() };
  },
};

function decodeLoosely(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Spellings of which a router may make `/login`, something below `/public`, or another route altogether. */
const spellings = [
  ..."/%6cogin /%6Cogin /%6c%6f%67%69%6e /logi%6E /%2flogin /login%2f /login%2F..%2fx /login%00 /login%20 /login%3f".split(
    " ",
  ),
  ..."/login%23 /login%5c /login\\ /login; /login;x=1 /login/ /login// //login /./login /x/../login /login/. "
    .trim()
    .split(" "),
  ..."/LOGIN /Login /lOgin /login%c0%ae /%c0%ecogin /%uff4cogin /%256cogin /login#x /login.json /login:80".split(" "),
  ..."/public /Public/x /%70ublic/x /public%2fx /public//x /public/../x /public/%2e%2e/x /public/..%2fx".split(" "),
  ..."/public/.%2e/x /public/..;/x /public/%2e/x /public/%5c..%5cx /public/..\\x /public/x%00 /public/%c0%ae%c0%ae/x".split(
    " ",
  ),
  ..."/public/%252e%252e/x /public/%6d /public/%7e /public/x%2fy /public/%ff /public/% /public/%zz".split(" "),
  "http://evil.example/login",
  "http://evil.example/public/x",
];

describe.each(Object.entries(routers))("an excluded path on %s", (_name, start) => {
  let running: Running;
  afterEach(() => running.close());

  it("is open as it is written, and nothing else is open for it", async () => {
    running = await start(jwt);
    const get = async (target: string) => request(running.url, `GET ${target}`);
    expect((await get("/login")).body).toBe("login");
    expect((await get("/login?next=/me")).body).toBe("login");
    expect((await get("/public/a.png")).body).toBe("public");
    expect((await get("/public/a%20b%C3%A9.png")).body).toBe("public");
    for (const target of spellings) {
      const { status, body } = await get(target);
      // What runs is what was excluded, or it needs a token.
      expect([target, status === 200 ? body : "shut"]).toEqual([
        target,
        expect.stringMatching(/^(shut|login|public)$/),
      ]);
    }
  });

  it("stays limited in every spelling that could be another path's, where it is excluded from a limit", async () => {
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 1000, window: 60, exclude });
    running = await start({ rateLimit });
    for (const target of spellings) {
      const { body, headers } = await request(running.url, `GET ${target}`);
      const isLimited = headers.some(([field]) => field === "ratelimit");
      expect([target, isLimited || body !== "user"]).toEqual([target, true]);
    }
    expect((await request(running.url, "GET /login")).headers.map(([field]) => field)).not.toContain("ratelimit");
  });
});

describe("a path that was rewritten in front of the middleware", () => {
  let running: Running;
  afterEach(() => running.close());
  const get = async (target: string) => (await request(running.url, `GET ${target}`)).status;

  it.each([
    ["Express 5", express],
    ["Express 4", express4],
  ])("is what the router of %s goes on to match, whatever was asked for", async (_name, create) => {
    const app = create();
    app.use((incoming: { url: string }, _response: unknown, next: () => void) => {
      if (incoming.url === "/login") incoming.url = "/me";
      if (incoming.url === "/enter") incoming.url = "/login";
      next();
    });
    app.use(celloExpress(new Security(jwt)));
    app.use((_request: unknown, response: { end(text: string): void }) => response.end("ran"));
    running = await listen(app);
    expect(await get("/login")).toBe(401);
    expect(await get("/enter")).toBe(200);
  });

  it("opens nothing where it cannot be told how the router came by it", async () => {
    const middleware = celloExpress(new Security(jwt));
    running = await listen((incoming, response) => {
      Object.assign(incoming, { originalUrl: incoming.url, url: incoming.url === "/login" ? "/me" : incoming.url });
      middleware(incoming, response, () => response.end("ran"));
    });
    expect(await get("/login")).toBe(401);
    expect(await get("/public/x")).toBe(200);
  });

  it("follows the router on Fastify, which rewrites before it matches", async () => {
    const app = new App({
      rewriteUrl: ({ url = "/" }) => (url === "/login" ? "/me" : url.replace("/enter", "/login")),
    });
    app.enableJwt({ secret, exclude });
    app.get("/login", () => "login");
    app.get("/me", () => "secret");
    running = { url: await app.listen({ port: 0, host: "127.0.0.1" }), close: () => app.close() };
    expect(await get("/login")).toBe(401);
    expect(await get("/enter")).toBe(200);
  });
});

describe("a route that a limit leaves out", () => {
  it("is not counted, in whichever spelling the router takes for it; others are", async () => {
    const app = new App({ routerOptions: { caseSensitive: false } });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 1, window: 60, exclude: ["/open", "/public/*"] }));
    app.enableRateLimit(RateLimitConfig.tokenBucket({ name: "all", requests: 100, window: 60 }));
    app
      .get("/open", () => "open")
      .get("/public/:name", () => "public")
      .get("/:name", () => "counted");
    const ask = async (url: string) => {
      const { statusCode, headers } = await app.inject(url);
      return [statusCode, String(headers.ratelimit).includes('"default"')];
    };
    for (const url of ["/open", "/OPEN", "/%6fpen?x", "/public/x"])
      expect([url, await ask(url)]).toEqual([url, [200, false]]);
    expect(await ask("/other")).toEqual([200, true]);
    expect(await ask("/other")).toEqual([429, true]);
    await app.close();
  });
});

describe("a mounted middleware", () => {
  it("holds the whole path against the patterns", async () => {
    const app = express();
    app.use("/api", celloExpress(new Security({ jwt: { secret, exclude: ["/api", "/api/open"] } })));
    app.use((_request, response) => void response.send("ran"));
    const running = await listen(app);
    const get = async (target: string) => (await request(running.url, `GET ${target}`)).status;
    for (const target of ["/api", "/api?x", "/api/open", "/api/open?x"])
      expect([target, await get(target)]).toEqual([target, 200]);
    for (const target of ["/api/", "/api/me", "/api/%6fpen", "/API/open"])
      expect([target, await get(target)]).toEqual([target, 401]);
    running.close();
  });
});

describe("Fastify's router with other ideas of what is the same", () => {
  it.each([
    { caseSensitive: false },
    { ignoreTrailingSlash: true },
    { ignoreDuplicateSlashes: true },
    { useSemicolonDelimiter: true },
    { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, useSemicolonDelimiter: true },
  ])("opens the route that was excluded and no other: %j", async (routerOptions) => {
    const app = new App({ routerOptions });
    app.enableJwt({ secret, exclude });
    app.get("/login", () => "login");
    app.get("/public/:name", () => "public");
    app.get("/:user", () => "user");
    app.get("/:user/:thing", () => "user");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    for (const target of spellings) {
      const { status, body } = await request(url, `GET ${target}`);
      expect([target, status === 200 ? body : "shut"]).toEqual([
        target,
        expect.stringMatching(/^(shut|login|public)$/),
      ]);
    }
    await app.close();
  });
});
