import { Readable } from "node:stream";
import { App, type AppHandler, CSP, type SessionStore } from "cello";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalStore, RemoteStore } from "./stores.js";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, header, request, send } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const CRLF = "a\r\nSet-Cookie: session_id=evil\r\n\r\n<script>";
const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const set: AppHandler = (request) => request.session.set("a", 1);

/** A handler and what a client must see of it: status and body. */
type Row = readonly [handler: AppHandler, status: number, body: RegExp];

const broken: Readonly<Record<string, Row>> = {
  throws: [
    () => {
      throw new Error("the password is hunter2");
    },
    500,
    /^\{"type":"about:blank","title":"Internal Server Error","status":500\}$/,
  ],
  "rejects later": [
    async () => {
      await later(2);
      throw new Error("the password is hunter2");
    },
    500,
    /Internal Server Error/,
  ],
  "throws null": [() => Promise.reject(null), 500, /^\{"type":"about:blank","title":"Internal Server Error"/],
  "throws undefined": [() => Promise.reject(undefined), 500, /^\{"type":"about:blank"/],
  "throws text": [() => Promise.reject("hunter2"), 500, /^\{"type":"about:blank"/],
  "throws a frozen object": [() => Promise.reject(Object.freeze({ statusCode: 400 })), 400, /"status":400/],
  "throws an error with an impossible status": [() => Promise.reject(withStatus(999)), 500, /"status":500/],
  "throws an error with a success for status": [() => Promise.reject(withStatus(200)), 500, /"status":500/],
  "throws an error with text for status": [() => Promise.reject(withStatus("400")), 500, /"status":500/],
  "throws an error with a status of its own": [() => Promise.reject(withStatus(418)), 418, /"status":418/],
  "throws after it has touched the session": [
    (request) => {
      request.session.set("a", 1);
      throw new Error("hunter2");
    },
    500,
    /Internal Server Error/,
  ],
  "puts a line break into a header": [
    async (_request, reply) => reply.header("X-User", CRLF).send("x"),
    500,
    /^\{"type":"about:blank","title":"Internal Server Error","status":500\}$/,
  ],
  "puts a line break into a header, and has set the session": [
    async (request, reply) => {
      request.session.set("a", 1);
      return reply.header("X-User", CRLF).send("x");
    },
    500,
    /Internal Server Error/,
  ],
  "puts NUL into a cookie": [
    async (request, reply) => {
      set(request, reply);
      return reply.header("Set-Cookie", "name=\0").send("x");
    },
    500,
    /Internal Server Error/,
  ],
  "puts a character above Latin-1 into a header": [
    async (request, reply) => {
      set(request, reply);
      return reply.header("X-User", "\u2028").send("x");
    },
    500,
    /Internal Server Error/,
  ],
  "puts a line break into a header's name": [
    async (request, reply) => {
      set(request, reply);
      return reply.header("X\r\nY", "1").send("x");
    },
    500,
    /Internal Server Error/,
  ],
  "writes a broken head itself": [
    async (request, reply) => {
      set(request, reply);
      reply.raw.writeHead(200, { "X-User": CRLF });
      reply.raw.end("x");
    },
    500,
    /Internal Server Error/,
  ],
  "sends a broken redirect": [
    async (request, reply) => {
      set(request, reply);
      return reply.header("Location", CRLF).code(302).send();
    },
    500,
    /Internal Server Error/,
  ],
};

const unusual: Readonly<Record<string, Row>> = {
  "writes its own head": [
    (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, { "Content-Type": "text/plain" });
      reply.raw.end("own");
    },
    200,
    /^own$/,
  ],
  "writes its own head with a reason": [
    (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, "Fine", ["Content-Type", "text/plain", "Content-Length", "3"]);
      reply.raw.end("own");
    },
    200,
    /^own$/,
  ],
  "writes a flat head with a list for value": [
    (request, reply) => {
      set(request, reply);
      reply.hijack();
      reply.raw.writeHead(200, ["Set-Cookie", ["a=1", "b=2"], "X-Own", "1"]);
      reply.raw.end("own");
    },
    200,
    /^own$/,
  ],
  "writes no head": [
    (request, reply) => {
      set(request, reply);
      reply.hijack();
      reply.raw.end("own");
    },
    200,
    /^own$/,
  ],
  "sets fields on the raw response first": [
    (request, reply) => {
      set(request, reply);
      reply.hijack();
      reply.raw.setHeader("X-Own", "1").setHeader("Server", "me").setHeader("X-Powered-By", "me");
      reply.raw.end("own");
    },
    200,
    /^own$/,
  ],
  "flushes its head and answers later": [
    async (request, reply) => {
      set(request, reply);
      reply.hijack();
      reply.raw.flushHeaders();
      await later(20);
      reply.raw.write("ow");
      await later(5);
      reply.raw.end("n");
    },
    200,
    /^own$/,
  ],
  "sends early hints": [
    (_request, reply) => {
      reply.raw.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      return "own";
    },
    200,
    /^own$/,
  ],
  streams: [
    (request, reply) => {
      set(request, reply);
      return reply.send(Readable.from(["o", "w", "n"]));
    },
    200,
    /^own$/,
  ],
  "streams a megabyte": [
    (request, reply) => {
      set(request, reply);
      return reply.send(Readable.from(Array.from({ length: 100 }, () => "x".repeat(10_000))));
    },
    200,
    /^x{1000000}$/,
  ],
  "answers from a timer": [
    (request, reply) => {
      set(request, reply);
      setTimeout(() => reply.send("own"), 5);
      return reply;
    },
    200,
    /^own$/,
  ],
  "answers twice": [
    async (request, reply) => {
      set(request, reply);
      reply.send("own");
      return "again";
    },
    200,
    /^own$/,
  ],
  "answers before it is done": [
    async (request, reply) => {
      reply.send("own");
      await later(5);
      try {
        set(request, reply);
      } catch {
        // Too late to set a cookie, and it says so.
      }
    },
    200,
    /^own$/,
  ],
  "has nothing to say": [(_request, reply) => reply.code(204).send(), 204, /^$/],
  "says not modified": [(_request, reply) => reply.code(304).send(), 304, /^$/],
};

function withStatus(statusCode: unknown): Error {
  return Object.assign(new Error("the password is hunter2"), { statusCode });
}

const stores: readonly (readonly [string, () => SessionStore | undefined])[] = [
  ["a sealed session", () => undefined],
  ["a session in a remote store", () => new RemoteStore()],
  ["a session in a local store", () => new LocalStore()],
];

describe.each(stores)("with %s, a handler that", (_name, createStore) => {
  const all = Object.entries({ ...broken, ...unusual });
  const app = new App();
  let url: string;
  const pathOf = (name: string) => `/${name.replaceAll(/[^a-z]/gi, "-")}`;

  beforeAll(async () => {
    app.enableSession({ secret, store: createStore() });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    for (const [name, [handler]] of all) app.get(pathOf(name), handler);
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  });
  afterAll(() => app.close());

  it.each(all)("%s", async (name, [, status, body]) => {
    const response = await request(url, `GET ${pathOf(name)}`);
    expect(response.status).toBe(status);
    expect(response.body).toMatch(body);
    expectSecurityHeaders(response);
    expect(header(response, "set-cookie") ?? "").not.toContain("evil");
    expect(JSON.stringify(response)).not.toContain(status === 418 ? "nothing" : "hunter2");
    if (status >= 400) expect(response.statusLine).not.toMatch(/OK|Found/);
  });

  it("streams and breaks off ends the connection and nothing else", async () => {
    const other = new App();
    other.enableSession({ secret, store: createStore() });
    other.get("/", (request, reply) => {
      set(request, reply);
      let count = 0;
      const stream = new Readable({
        read() {
          if (count++ < 3) this.push("chunk");
          else this.destroy(new Error("disk on fire"));
        },
      });
      return reply.send(stream);
    });
    other.get("/ok", () => "ok");
    const otherUrl = await other.listen({ port: 0, host: "127.0.0.1" });
    const first = await send(otherUrl, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(first).not.toContain("disk");
    // The end of a chunked body, which a client would take for the whole answer.
    expect(first).not.toContain("\r\n0\r\n");
    expect((await request(otherUrl, "GET /ok")).body).toBe("ok");
    await other.close();
  });
});

describe("cookies and headers of the handler's own", () => {
  const make = async (handler: AppHandler, store?: SessionStore) => {
    const app = new App();
    app.enableSession({ secret, store });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.get("/", handler);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await request(url, "GET /");
    await app.close();
    return response;
  };

  it.each(stores)("stand beside the session's cookie: %s", async (_name, createStore) => {
    const ways: readonly AppHandler[] = [
      (request, reply) => {
        set(request, reply);
        reply.header("Set-Cookie", "a=1").header("Set-Cookie", "b=2").send("x");
      },
      (request, reply) => {
        set(request, reply);
        reply.header("Set-Cookie", ["a=1", "b=2"]).send("x");
      },
      (request, reply) => {
        set(request, reply);
        reply.hijack();
        reply.raw.setHeader("set-cookie", ["a=1", "b=2"]);
        reply.raw.end("x");
      },
      (request, reply) => {
        set(request, reply);
        reply.hijack();
        reply.raw.setHeader("Set-Cookie", "a=1");
        reply.raw.appendHeader("Set-Cookie", "b=2");
        reply.raw.writeHead(200, { "X-Own": "1" });
        reply.raw.end("x");
      },
      (request, reply) => {
        set(request, reply);
        reply.hijack();
        reply.raw.writeHead(200, ["Set-Cookie", "a=1", "Set-Cookie", "b=2"]);
        reply.raw.end("x");
      },
    ];
    for (const way of ways) {
      const response = await make(way, createStore());
      const cookies = header(response, "set-cookie")?.split("\n") ?? [];
      expect(cookies.map((cookie) => cookie.slice(0, 3)).sort()).toEqual(["a=1", "b=2", "ses"]);
      expect(header(response, "cache-control")).toBe("no-store");
      expectSecurityHeaders(response);
    }
  });

  it("win over the layer's, in any letter case and by any way", async () => {
    const ways: readonly AppHandler[] = [
      (_request, reply) => reply.header("x-frame-options", "SAMEORIGIN").header("CACHE-CONTROL", "private").send("x"),
      (_request, reply) => {
        reply.hijack();
        reply.raw.setHeader("X-FRAME-OPTIONS", "SAMEORIGIN").setHeader("Cache-Control", "private");
        reply.raw.end("x");
      },
      (_request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, { "X-frame-Options": "SAMEORIGIN", "cache-control": "private" });
        reply.raw.end("x");
      },
      (_request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, "OK", ["X-Frame-Options", "SAMEORIGIN", "Cache-Control", "private"]);
        reply.raw.end("x");
      },
    ];
    for (const way of ways) {
      const response = await make((request, reply) => {
        set(request, reply);
        return way(request, reply);
      });
      expect(header(response, "x-frame-options")).toBe("SAMEORIGIN");
      expect(header(response, "cache-control")).toBe("private");
      expect(header(response, "x-content-type-options")).toBe("nosniff");
      expect(header(response, "set-cookie")).toMatch(/^session_id=/);
    }
  });

  it("are removed where the configuration says so", async () => {
    const response = await make((_request, reply) => {
      reply.header("Server", "me").header("x-powered-by", "me");
      return "x";
    });
    expectSecurityHeaders(response);
  });
});
