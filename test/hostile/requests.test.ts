import { App, CSP, RateLimitConfig } from "cello";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, header, parse, request, send } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const PROBLEM = "application/problem+json";

async function start() {
  const app = new App({ bodyLimit: 1000 });
  app.enableJwt({ secret, required: false });
  app.enableSession({ secret });
  app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100_000, window: 1 }));
  app.get("/", () => "hello");
  app.post("/", (request) => ({ body: request.body }));
  app.get("/slow", () => new Promise((resolve) => setTimeout(resolve, 50, "slow")));
  app.get("/seen", (request) => ({ ip: request.clientIp, url: request.url, host: request.headers.host ?? null }));
  app.get("/once", { rateLimit: RateLimitConfig.tokenBucket({ name: "once", requests: 1, window: 1000 }) }, () => "x");
  app.get("/scoped", { scopes: ["a"] }, () => "x");
  app.get("/fails", () => {
    throw new Error("the password is hunter2");
  });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, url };
}

describe("a request", () => {
  let app: App;
  let url: string;

  beforeAll(async () => {
    ({ app, url } = await start());
  });
  afterAll(() => app.close());

  /** Bytes as they are, on a connection that the server must end. */
  const wire = async (bytes: string) => {
    const [response] = parse(await send(url, bytes));
    if (response === undefined) return expect.fail("no response");
    return response;
  };
  const long = "x".repeat(20_000);

  it.each([
    ["400 for a broken encoding", "GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400],
    ["404 for an unknown path", "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404],
    ["404 for an unknown method of a path", "DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404],
    ["401 for a missing token", "GET /scoped HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 401],
    [
      "413 for a body that is announced too large",
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 1001\r\n\r\n",
      413,
    ],
    [
      "413 for a body that grows too large",
      `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1001)}\r\n0\r\n\r\n`,
      413,
    ],
    [
      "415 for a type that nobody reads",
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx",
      415,
    ],
    [
      "400 for JSON that is none",
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
      400,
    ],
    [
      "400 for JSON that reaches for the prototype",
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"__proto__":{"a":1}}',
      400,
    ],
    [
      "417 for an expectation that cannot be met",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 200-ok\r\n\r\n",
      417,
    ],
    ["431 for one long header", `GET / HTTP/1.1\r\nHost: a\r\nX: ${long}\r\n\r\n`, 431],
    ["431 for 64 KB of headers", `GET / HTTP/1.1\r\nHost: a\r\n${`X: ${"y".repeat(1000)}\r\n`.repeat(64)}\r\n`, 431],
    ["431 for a long target", `GET /${long} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ["431 for a long cookie", `GET / HTTP/1.1\r\nHost: a\r\nCookie: session_id=${long}\r\n\r\n`, 431],
    ["400 for what is no HTTP", "hello\r\n\r\n", 400],
    ["400 for the beginning of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["400 for the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["400 for another version", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400],
    ["400 for a missing host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
    ["400 for NUL in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400],
    ["400 for a bare CR in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", 400],
    ["400 for a space before a colon", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400],
    ["400 for a folded header", "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400],
    ["400 for a space in the target", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["400 for two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400],
    [
      "400 for a length beside chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["400 for a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400],
    ["500 for an error in the handler", "GET /fails HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 500],
  ])("gets the security headers with %s", async (_name, bytes, status) => {
    const response = await wire(bytes);
    expect(response.status).toBe(status);
    expectSecurityHeaders(response);
    expect(header(response, "content-type")).toBe(PROBLEM);
    expect(JSON.parse(response.body)).toMatchObject({ type: "about:blank", status });
    expect(response.body).not.toContain("hunter2");
  });

  it("gets them with 429 too", async () => {
    await request(url, "GET /once");
    const response = await request(url, "GET /once");
    expect(response.status).toBe(429);
    expectSecurityHeaders(response);
    expect(header(response, "content-type")).toBe(PROBLEM);
  });

  it("gets a nonce of its own, on the bare socket too", async () => {
    const nonces = new Set<string>();
    for (let index = 0; index < 5; index++) {
      nonces.add(header(await wire("hello\r\n\r\n"), "content-security-policy") ?? "");
      nonces.add(header(await request(url, "GET /"), "content-security-policy") ?? "");
    }
    expect(nonces.size).toBe(10);
  });

  it("of HTTP/1.0 is answered, without a host too", async () => {
    for (const bytes of ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"]) {
      const [response] = parse(await send(url, bytes, { quietMs: 200 }));
      expect(response?.body).toBe("hello");
      if (response !== undefined) expectSecurityHeaders(response);
    }
  });

  it("with HEAD has the headers of GET and no body", async () => {
    const head = await request(url, "HEAD /");
    const get = await request(url, "GET /");
    expect(head.status).toBe(200);
    expect(head.body).toBe("");
    expectSecurityHeaders(head);
    expect(header(head, "content-length")).toBe(header(get, "content-length"));
    expectSecurityHeaders(await request(url, "HEAD /nowhere"));
    expectSecurityHeaders(await request(url, "HEAD /scoped"));
  });

  it("with TRACE, OPTIONS or a method nobody knows is answered as an unknown path", async () => {
    for (const method of ["TRACE", "OPTIONS", "PROPFIND", "PURGE", "M-SEARCH"]) {
      const response = await request(url, `${method} /`, ["Cookie: a=secret"]);
      expect(response.status).toBe(404);
      expect(response.body).not.toContain("secret");
      expectSecurityHeaders(response);
    }
  });

  it("with CONNECT gets nothing, and the server goes on", async () => {
    expect(await send(url, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")).not.toMatch(/ 200 /);
    expect((await request(url, "GET /")).status).toBe(200);
  });

  it("that asks for an upgrade is a request like any other", async () => {
    const upgrade = ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"];
    const received = await send(url, `GET / HTTP/1.1\r\nHost: a\r\n${upgrade.join("\r\n")}\r\n\r\n`, { quietMs: 300 });
    const [response] = parse(received);
    expect(response?.status).toBe(200);
    if (response !== undefined) expectSecurityHeaders(response);
  });

  it("in absolute form reaches its path", async () => {
    const response = await request(url, "GET http://evil.example/seen");
    expect(JSON.parse(response.body)).toMatchObject({ host: "app.example" });
    expectSecurityHeaders(response);
  });

  it("with 50 cookies and 200 headers is served", async () => {
    const cookies = Array.from({ length: 50 }, (_, index) => `session_id=${index}; c${index}=${"x".repeat(50)}`);
    const many = Array.from({ length: 200 }, (_, index) => `X-${index}: ${index}`);
    const response = await request(url, "GET /", [`Cookie: ${cookies.join("; ")}`, ...many]);
    expect(response.status).toBe(200);
    expectSecurityHeaders(response);
  });

  it("with an 8 KB header is served", async () => {
    const response = await request(url, "GET /", [`X: ${"x".repeat(8192)}`]);
    expect(response.status).toBe(200);
  });

  it("with more headers than Node counts is served with those that count", async () => {
    const many = Array.from({ length: 2500 }, (_, index) => `X: ${index % 10}`);
    const response = await request(url, "GET /", many);
    expect([200, 431]).toContain(response.status);
    expectSecurityHeaders(response);
  });

  it.each([
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "Forwarded",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
  ])("is not changed by the header %s", async (name) => {
    const response = await request(url, "GET /scoped", [`${name}: /`]);
    expect(response.status).toBe(401);
    expectSecurityHeaders(response);
  });

  it("is answered in its turn when several come at once", async () => {
    const one = (target: string, more = "") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
    const received = await send(
      url,
      one("/slow") + one("/nowhere") + one("/") + one("/scoped") + one("/%zz") + one("/", "Connection: close\r\n"),
    );
    const responses = parse(received);
    expect(responses.map(({ status }) => status)).toEqual([200, 404, 200, 401, 400, 200]);
    for (const response of responses) expectSecurityHeaders(response);
    expect(new Set(responses.map((response) => header(response, "content-security-policy"))).size).toBe(6);
  });

  it("before garbage on the same connection is not answered with two heads in one", async () => {
    app.on("config.warning", () => undefined);
    const received = await send(url, "GET / HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n");
    const responses = parse(received);
    expect(responses.length).toBeLessThanOrEqual(2);
    for (const response of responses) {
      expect([200, 400]).toContain(response.status);
      expectSecurityHeaders(response);
    }
  });
});
