import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import websocket from "@fastify/websocket";
import { App, CSP, RateLimitConfig, Security } from "cello";
import { cello } from "cello/express";
import { secure } from "cello/fetch";
import { cello as celloHono } from "cello/hono";
import express4 from "express4";
import { Hono } from "hono";
import { Server as SocketServer } from "socket.io";
import { io } from "socket.io-client";
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { serve, view } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const limit = () => RateLimitConfig.slidingWindow({ requests: 100, window: 600 });

let closing: (() => unknown) | undefined;
let consoleError: MockInstance<typeof console.error>;
beforeEach(() => {
  consoleError = vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(async () => {
  consoleError.mockRestore();
  await closing?.();
  closing = undefined;
});

describe.each(["cello/fetch", "cello/hono"])("a peerAddress function, in %s", (host) => {
  const ask = async (peerAddress: () => string | undefined): Promise<Response> => {
    const security = new Security({ securityHeaders: {}, rateLimit: limit() });
    if (host === "cello/fetch") {
      return secure(security, () => new Response("ok"), { peerAddress })(new Request("http://localhost/"));
    }
    const app = new Hono();
    app.use(celloHono(security, { peerAddress }));
    app.get("/", (context) => context.text("ok"));
    return app.request("/");
  };

  it("that throws is a 500 with the security headers, told once", async () => {
    const response = await ask(() => {
      throw new Error("no address");
    });
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([500, "DENY"]);
    expect(consoleError).toHaveBeenCalledTimes(1);
  });

  it("may hand over null, and is told when it gives no address", async () => {
    expect((await ask(() => Reflect.apply(JSON.parse, undefined, ["null"]))).status).toBe(200);
    const response = await Reflect.apply(ask, undefined, [async () => "192.0.2.1"]);
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([500, "DENY"]);
    expect(String(consoleError.mock.calls[0])).toContain("peerAddress must return a string or undefined");
  });
});

describe("an upgrade that is refused", () => {
  it.each(["/live", "/unknown"])("is answered and its connection closed (%s)", async (path) => {
    const app = new App().enableJwt({ secret });
    await app.register(websocket);
    app.fastify.get("/live", { websocket: true }, (socket) => socket.close());
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    closing = () => app.close();
    const heard = await new Promise<string>((resolve, reject) => {
      let text = "";
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(text));
      const handshake = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="];
      const head = [`GET ${path} HTTP/1.1`, "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"];
      socket.write(`${[...head, ...handshake].join("\r\n")}\r\n\r\n`);
    });
    expect(heard).toMatch(/^HTTP\/1.1 401 /);
    expect(heard).toContain("Connection: close");
  });
});

describe("a handshake of socket.io", () => {
  it.each(["websocket", "polling"])("passes two middlewares of one policy with sessions (%s)", async (transport) => {
    const security = new Security({ session: { secret }, jwt: { secret }, rateLimit: limit() });
    const server = createServer();
    const sockets = new SocketServer(server);
    sockets.engine.use(cello(security, { auth: "optional" }));
    sockets.engine.use(cello(security, { roles: ["admin"] }));
    const served = await serve(server);
    closing = async () => {
      await sockets.close();
      await served.close();
    };
    const open = (claims: object) =>
      new Promise<string>((resolve) => {
        const authorization = `Bearer ${security.jwt?.sign({ sub: "u1", ...claims })}`;
        const options = { transports: [transport], reconnection: false, forceNew: true };
        const client = io(served.url, { ...options, extraHeaders: { authorization } });
        const end = (how: string) => {
          client.close();
          resolve(how);
        };
        client.on("connect", () => end("connected"));
        client.on("connect_error", () => end("refused"));
      });
    expect(await open({ roles: ["admin"] })).toBe("connected");
    expect(await open({ roles: ["user"] })).toBe("refused");
  });
});

describe("options of an App", () => {
  it("may bound requests by a time longer than timers are, over HTTP/2 too", async () => {
    const app = new App({ http2: true, requestTimeout: Number.MAX_SAFE_INTEGER });
    app.post("/", (request) => request.body);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const client = connectHttp2(url);
    closing = () => {
      client.destroy();
      return app.close();
    };
    const stream = client.request({ ":method": "POST", ":path": "/", "content-type": "application/json" });
    stream.write('{"a":');
    setTimeout(() => stream.end("1}"), 100);
    const status = await new Promise((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      stream.on("error", reject);
    });
    expect(status).toBe(200);
  });

  it("may answer what the router cannot read, with the security headers", async () => {
    const app = new App({ frameworkErrors: (_error, _request, reply) => reply.raw.writeHead(400).end("mine") });
    app.enableSecurityHeaders().get("/:name", () => "ok");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    closing = () => app.close();
    const response = await fetch(`${url}/%E0%A4%A`);
    expect([response.status, await response.text()]).toEqual([400, "mine"]);
    expect(response.headers.get("x-frame-options")).toBe("DENY");
  });

  it("may be CORS of routes that a plugin's onRoute hook sets: preflights are answered", async () => {
    const app = new App();
    await app.register(async (scope) => {
      scope.addHook("onRoute", (route) => {
        Object.assign(route, { cors: { origins: ["https://page.example"] } });
      });
      scope.put("/x", async () => "x");
    });
    const headers = { origin: "https://page.example", "access-control-request-method": "PUT" };
    const response = await app.inject({ method: "OPTIONS", url: "/x", headers });
    expect([response.statusCode, response.headers["access-control-allow-origin"]]).toEqual([204, headers.origin]);
    await app.close();
  });
});

describe("a status that is text", () => {
  it("makes a 304 of Express 4 without a nonce as well", async () => {
    const app = express4();
    app.use(cello(new Security({ securityHeaders: { csp: new CSP().scriptSrc("'self'", CSP.NONCE) } })));
    app.get("/", (_request, response) => {
      Object.assign(response, { statusCode: "304" }).end();
    });
    const served = await serve(app);
    closing = () => served.close();
    const heard = await view(served.port, ["GET / HTTP/1.1"]);
    expect(heard).toMatch(/^HTTP\/1.1 304 /);
    expect(heard).not.toContain("nonce-");
    expect(heard).toContain("X-Frame-Options: DENY");
  });
});
