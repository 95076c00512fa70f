import { createServer, type RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { App, RateLimitConfig, Security } from "cello";
import { cello } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { cello as celloHono } from "cello/hono";
import express5, { type Express } from "express";
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { serve } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";

/** What a handler throws, by the path that asks for it. */
const thrown: Readonly<Record<string, unknown>> = {
  error: new Error("the reason"),
  undefined: undefined,
  null: null,
  string: "the reason",
  number: 7,
  object: { reason: "the reason" },
  response: new Response("mine"),
};

type Fail = (what: unknown) => never;
const fail: Fail = (what) => {
  throw what;
};

interface Hosted {
  readonly url: string;
  readonly security: Security;
  close(): Promise<unknown>;
}

const options = () => ({ session: { secret }, securityHeaders: {} });

async function listening(handler: RequestListener, security: Security): Promise<Hosted> {
  return { ...(await serve(createServer(handler))), security };
}

const onExpress = (create: () => Express) => () => {
  const security = new Security(options());
  const app = create();
  app.use(cello(security));
  app.get("/throw/:what", (request) => fail(thrown[request.params.what]));
  app.get("/later/:what", async (request, _response, next) => {
    await null;
    // Express 4 knows no promises.
    next(thrown[request.params.what ?? ""]);
  });
  app.get("/date", (request) => request.session.set("d", new Date()));
  return listening(app, security);
};

const hosts: Readonly<Record<string, () => Promise<Hosted>>> = {
  App: async () => {
    const app = new App();
    app.enableSession({ secret }).enableSecurityHeaders();
    app.get<{ Params: { what: string } }>("/throw/:what", (request) => fail(thrown[request.params.what]));
    app.get<{ Params: { what: string } }>("/later/:what", async (request) => fail(thrown[request.params.what]));
    app.get("/date", (request) => request.session.set("d", new Date()));
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return { url, security: app.security, close: () => app.close() };
  },
  "cello/fastify": async () => {
    const security = new Security(options());
    const server = fastify();
    await server.register(celloFastify, { security });
    server.get<{ Params: { what: string } }>("/throw/:what", (request) => fail(thrown[request.params.what]));
    server.get<{ Params: { what: string } }>("/later/:what", async (request) => fail(thrown[request.params.what]));
    server.get("/date", (request) => request.session.set("d", new Date()));
    const url = await server.listen({ port: 0, host: "127.0.0.1" });
    return { url, security, close: () => server.close() };
  },
  "Express 5": onExpress(express5),
  "Express 4": onExpress(express4),
  "cello/hono": () => {
    const security = new Security(options());
    const app = new Hono<{ Variables: { session: { set(key: string, value: unknown): void } } }>();
    app.use(celloHono(security));
    app.get("/throw/:what", (context) => fail(thrown[context.req.param("what")]));
    app.get("/later/:what", async (context) => fail(thrown[context.req.param("what")]));
    app.get("/date", (context) => {
      context.get("session").set("d", new Date());
      return context.text("not reached");
    });
    return listening(getRequestListener(app.fetch), security);
  },
  "cello/fetch": () => {
    const security = new Security(options());
    const handler = secure(security, (request, { session }) => {
      const [, path, what = ""] = new URL(request.url).pathname.split("/");
      // JavaScript callers set what they like.
      if (path === "date") Reflect.apply(session.set, session, ["d", new Date()]);
      return path === "later" ? Promise.reject(thrown[what]) : fail(thrown[what]);
    });
    return listening(getRequestListener(handler), security);
  },
};

let host: Hosted | undefined;
let consoleError: MockInstance<typeof console.error>;
beforeEach(() => {
  vi.stubEnv("NODE_ENV", "development");
  consoleError = vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(async () => {
  await host?.close();
  host = undefined;
  consoleError.mockRestore();
  vi.unstubAllEnvs();
});

/** What went to the console, as text. */
const printed = () => consoleError.mock.calls.map((call) => call.map(String).join(" "));

describe.each(Object.entries(hosts))("on %s", (name, start) => {
  it("whatever a handler throws is a 500 with the security headers", async () => {
    host = await start();
    for (const what of Object.keys(thrown)) {
      for (const how of ["throw", "later"]) {
        const response = await fetch(`${host.url}/${how}/${what}`);
        const isNothing = what === "undefined" || what === "null";
        // To Express, nothing is no error, and what is left is an unknown path.
        const status = name.startsWith("Express") && isNothing ? [404, 500] : [500];
        // To Fastify a response is an answer, whichever way it comes.
        if (name !== "cello/fastify" || what !== "response") expect(status).toContain(response.status);
        expect([what, response.headers.get("x-frame-options")]).toEqual([what, "DENY"]);
        await response.arrayBuffer();
      }
    }
  });

  it("an error reaches the console once, and says what is wrong", async () => {
    host = await start();
    expect((await fetch(`${host.url}/throw/error`)).status).toBe(500);
    // Express prints in a turn of its own.
    await vi.waitFor(() => expect(printed()).toEqual([expect.stringContaining("the reason")]));
    consoleError.mockClear();
    expect((await fetch(`${host.url}/date`)).status).toBe(500);
    await vi.waitFor(() => expect(printed()).toEqual([expect.stringMatching(/"d".*Date/)]));
  });
});

describe("errors and logs", () => {
  it("go to a logger instead of the console, where an App has one", async () => {
    const lines: string[] = [];
    const app = new App({ logger: { level: "error", stream: { write: (line: string) => void lines.push(line) } } });
    app.get("/", () => fail(new Error("the reason")));
    expect((await app.inject("/")).statusCode).toBe(500);
    expect(consoleError).not.toHaveBeenCalled();
    expect(lines.filter((line) => line.includes("the reason"))).toHaveLength(1);
    await app.close();
  });

  it("are not of what a client did wrong", async () => {
    const app = new App();
    app.post("/", () => "ok");
    app.get("/", () => fail(Object.assign(new Error("no such thing"), { statusCode: 404 })));
    expect((await app.inject("/")).statusCode).toBe(404);
    const broken = { method: "POST", url: "/", payload: "{", headers: { "content-type": "application/json" } } as const;
    expect((await app.inject(broken)).statusCode).toBe(400);
    expect(consoleError).not.toHaveBeenCalled();
    await app.close();
  });

  it("are left to an application's own error handler", async () => {
    const app = new App();
    app.fastify.setErrorHandler((_error, _request, reply) => reply.code(500).send("mine"));
    app.get("/", () => fail(new Error("the reason")));
    expect((await app.inject("/")).payload).toBe("mine");
    expect(consoleError).not.toHaveBeenCalled();
    await app.close();
  });
});

describe("on Hono", () => {
  it("answers an HTTPException as it says, with the security headers", async () => {
    const app = new Hono();
    app.use(celloHono(new Security(options())));
    app.get("/", () => fail(new HTTPException(418, { message: "teapot" })));
    const response = await app.request("/");
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([418, "DENY"]);
  });

  it("has the security headers when onError fails, or a limit's own function does", async () => {
    const app = new Hono();
    app.onError(() => fail(new Error("onError failed")));
    app.use(celloHono(new Security(options())));
    app.get("/", () => fail(new Error("the reason")));
    const response = await app.request("/");
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([500, "DENY"]);
    expect(printed()).toEqual([expect.stringContaining("onError failed")]);

    const limited = new Hono();
    const key = () => fail(new Error("key failed"));
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 1, window: 1, key });
    limited.use(celloHono(new Security({ ...options(), rateLimit })));
    limited.get("/", (context) => context.text("ok"));
    const failed = await limited.request("/");
    expect(failed.headers.get("x-frame-options")).toBe("DENY");
  });
});

describe("on cello/fetch", () => {
  it("has the security headers when onError fails, or a body was read already", async () => {
    const failing = secure(new Security(options()), () => fail("the reason"), {
      onError: () => fail(new Error("onError failed")),
    });
    const response = await failing(new Request("http://localhost/"));
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([500, "DENY"]);
    const used = secure(new Security(options()), async () => {
      const answer = new Response("once");
      await answer.text();
      return answer;
    });
    const again = await used(new Request("http://localhost/"));
    expect([again.status, again.headers.get("x-frame-options")]).toEqual([500, "DENY"]);
  });
});
