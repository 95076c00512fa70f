import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
} from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, CSP, Jwt, RateLimitConfig, type SessionStore } from "cello";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RemoteStore } from "./stores.js";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, header, parse, request, send } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
let folder: string;
let certificate: { readonly key: Buffer; readonly cert: Buffer };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cello-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert, ...subject], {
    stdio: "pipe",
  });
  certificate = { key: readFileSync(key), cert: readFileSync(cert) };
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Answer {
  readonly headers: IncomingHttpHeaders & { readonly ":status"?: number };
  readonly body: string;
}

const hosts: readonly (readonly [string, () => ConstructorParameters<typeof App>[0]])[] = [
  ["HTTP/2 in the clear", () => ({ http2: true })],
  ["HTTP/2 over TLS", () => ({ http2: true, https: { ...certificate, allowHTTP1: true } })],
];
const stores: readonly (readonly [string, () => SessionStore | undefined])[] = [
  ["a sealed session", () => undefined],
  ["a session in a remote store", () => new RemoteStore()],
];

function createApp(options: ConstructorParameters<typeof App>[0], store?: SessionStore) {
  const app = new App(options);
  app.enableJwt({ secret, exclude: ["/open", "/login", "/stream", "/hints", "/fails", "/broken"] });
  app.enableSession({ secret, store, secure: true, cookieName: "__Host-id" });
  app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 1000, window: 1000 }));
  app.get("/open", (request) => ({ nonce: request.cspNonce, user: request.session.get("user") ?? null }));
  app.get("/me", (request) => ({ sub: request.claims.sub }));
  app.post("/login", async (request, reply) => {
    await request.session.regenerate();
    request.session.set("user", "u1");
    return reply.header("Set-Cookie", ["a=1", "b=2"]).send({ ok: true });
  });
  app.get("/stream", (request, reply) => {
    request.session.set("a", 1);
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/plain" });
    reply.raw.write("o");
    setTimeout(() => reply.raw.write("w"), 5);
    setTimeout(() => reply.raw.end("n"), 10);
  });
  app.get("/fails", () => {
    throw new Error("hunter2");
  });
  app.get("/broken", async (request, reply) => {
    request.session.set("a", 1);
    return reply.header("X-User", "a\r\nb").send("x");
  });
  return app;
}

describe.each(hosts)("%s", (_host, optionsOf) => {
  describe.each(stores)("with %s", (_store, createStore) => {
    let app: App;
    let url: string;
    let session: ClientHttp2Session;
    const served = new Set<ServerHttp2Session>();

    const start = async () => {
      app = createApp(optionsOf(), createStore());
      app.fastify.server.on("session", (one: ServerHttp2Session) => served.add(one));
      url = await app.listen({ port: 0, host: "127.0.0.1" });
      session = connect(url, { rejectUnauthorized: false });
      session.on("error", () => undefined);
    };
    afterEach(async () => {
      // Not closed gracefully: a session waits for streams that the test has broken, here and at the server.
      session.destroy();
      for (const one of served) one.destroy();
      served.clear();
      await app.close();
    });

    const ask = (headers: OutgoingHttpHeaders, body = ""): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers, { endStream: false });
        let text = "";
        let answered: IncomingHttpHeaders = {};
        stream.on("response", (received) => {
          answered = received;
        });
        stream.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        stream.on("error", reject);
        stream.on("close", () => resolve({ headers: answered, body: text }));
        stream.end(body);
      });
    const expectHeaders = ({ headers }: Answer, status: number) => {
      expect(headers[":status"]).toBe(status);
      expect(headers["strict-transport-security"]).toBe("max-age=31536000; includeSubDomains");
      expect(headers["x-frame-options"]).toBe("DENY");
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["content-security-policy"]).toMatch(/'nonce-[A-Za-z0-9+/]{22}=='$/);
      expect(headers["ratelimit-policy"]).toBe('"default";q=1000;w=1000');
    };

    it("carries the headers on answers and refusals", async () => {
      await start();
      const open = await ask({ ":path": "/open" });
      expectHeaders(open, 200);
      expect(open.headers["content-security-policy"]).toContain(JSON.parse(open.body).nonce);
      expectHeaders(await ask({ ":path": "/me" }), 401);
      expectHeaders(await ask({ ":path": "/nowhere", authorization: `Bearer ${jwt.sign({})}` }), 404);
      expectHeaders(await ask({ ":path": "/%zz", authorization: `Bearer ${jwt.sign({})}` }), 400);
      expectHeaders(await ask({ ":path": "/%zz" }), 401);
      const failed = await ask({ ":path": "/fails" });
      expectHeaders(failed, 500);
      expect(failed.body).not.toContain("hunter2");
      expectHeaders(await ask({ ":path": "/broken" }), 500);
      expectHeaders(await ask({ ":path": "/open", ":method": "HEAD" }), 200);
      expectHeaders(await ask({ ":path": "/me", ":method": "TRACE" }), 401);
    });

    it("verifies tokens, and refuses two", async () => {
      await start();
      const authorization = `Bearer ${jwt.sign({ sub: "u1" })}`;
      expect((await ask({ ":path": "/me", authorization })).body).toBe('{"sub":"u1"}');
      const bad = await ask({ ":path": "/me", authorization: "Bearer x" });
      expect(bad.headers["www-authenticate"]).toBe('Bearer error="invalid_token"');
    });

    it("sets several cookies", async () => {
      await start();
      const login = await ask({ ":path": "/login", ":method": "POST" });
      expectHeaders(login, 200);
      const cookies = login.headers["set-cookie"] ?? [];
      expect(cookies.map((cookie) => cookie.split("=")[0])).toEqual(["a", "b", "__Host-id"]);
      expect(login.headers["cache-control"]).toBe("no-store");
      const cookie = cookies.at(-1)?.split(";")[0];
      expect(JSON.parse((await ask({ ":path": "/open", cookie })).body).user).toBe("u1");
      // As a browser sends cookies in HTTP/2: a field for each (RFC 9113 section 8.2.3).
      const split = await ask({ ":path": "/open", cookie: ["x=1", cookie ?? "", "y=2"] });
      expect(JSON.parse(split.body).user).toBe("u1");
    });

    it("refuses a cross-site request by the authority that was asked for", async () => {
      await start();
      const login = await ask({ ":path": "/login", ":method": "POST" });
      const cookie = login.headers["set-cookie"]?.at(-1)?.split(";")[0];
      const post = (headers: object) => ask({ ":path": "/login", ":method": "POST", cookie, ...headers });
      expectHeaders(await post({ origin: "https://evil.example" }), 403);
      expectHeaders(await post({ "sec-fetch-site": "cross-site" }), 403);
      expectHeaders(await post({ origin: url }), 200);
    });

    it("streams", async () => {
      await start();
      const answer = await ask({ ":path": "/stream" });
      expectHeaders(answer, 200);
      expect(answer.body).toBe("own");
      expect(answer.headers["set-cookie"]?.[0]).toMatch(/^__Host-id=/);
    });

    it("survives streams that are reset, and connections that break", async () => {
      await start();
      for (const path of ["/open", "/login", "/stream"]) {
        for (const code of [0, 2, 8]) {
          const stream = session.request({ ":path": path, ":method": path === "/login" ? "POST" : "GET" });
          stream.on("error", () => undefined);
          await new Promise((resolve) => setTimeout(resolve, code));
          stream.close(code);
        }
      }
      session.destroy();
      session = connect(url, { rejectUnauthorized: false });
      session.on("error", () => undefined);
      expectHeaders(await ask({ ":path": "/open" }), 200);
    });

    it("serves many requests at once", async () => {
      await start();
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask({ ":path": "/open" })));
      expect(new Set(answers.map(({ body }) => body)).size).toBe(100);
      for (const answer of answers) expectHeaders(answer, 200);
    });
  });
});

describe("HTTPS", () => {
  it("carries the headers on every answer, those of broken requests included", async () => {
    const app = createApp({ https: { ...certificate } });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const secure = { secure: true };
    for (const [start, status] of [
      ["GET /open", 200],
      ["GET /me", 401],
      ["GET /nowhere", 401],
      ["GET /%zz", 401],
      ["HEAD /open", 200],
      ["GET /fails", 500],
    ] as const) {
      const response = await request(url, start, [], "", secure);
      expect(response.status).toBe(status);
      expectSecurityHeaders(response);
    }
    for (const [bytes, status] of [
      ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
      ["garbage\r\n\r\n", 400],
      [`GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const [response] = parse(await send(url, bytes, secure));
      expect(response?.status).toBe(status);
      if (response !== undefined) expectSecurityHeaders(response);
    }
    const login = await request(url, "POST /login", ["Content-Length: 0"], "", secure);
    expect(header(login, "set-cookie")).toMatch(/__Host-id=[^;]+; Max-Age=86400; Path=\/; Secure; HttpOnly/);
    await app.close();
  });

  it("survives who does not speak TLS", async () => {
    const app = createApp({ https: { ...certificate } });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    for (const bytes of ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\xff\xff", "\0".repeat(1000)]) {
      await send(url, bytes, { quietMs: 200 });
    }
    expect((await request(url, "GET /open", [], "", { secure: true })).status).toBe(200);
    await app.close();
  });
});
