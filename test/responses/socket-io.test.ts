import { createServer } from "node:http";
import { Jwt, RateLimitConfig, Security } from "cello";
import { cello } from "cello/express";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { afterEach, describe, expect, it } from "vitest";
import { type Served, serve, view } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(limit = RateLimitConfig.tokenBucket({ requests: 100, window: 60 })): Promise<Served> {
  const http = createServer();
  const server = new Server(http);
  server.engine.use(cello(new Security({ jwt: { secret }, rateLimit: limit, securityHeaders: {} })));
  server.on("connection", (socket) => socket.on("ask", (answer: (text: string) => void) => answer("hello")));
  const served = await serve(http);
  closers.push(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return served;
}

function connectTo(url: string, transport: "polling" | "websocket", token: string): Socket {
  const socket = io(url, {
    transports: [transport],
    reconnection: false,
    forceNew: true,
    extraHeaders: { authorization: `Bearer ${token}` },
  });
  closers.push(() => socket.close());
  return socket;
}

const handshake = (port: number, fields: readonly string[]) =>
  view(port, [
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...fields,
  ]);

describe("socket.io with cello() as middleware of its engine", () => {
  it.each(["polling", "websocket"] as const)("connects over %s with a token", async (transport) => {
    const { url } = await start();
    const socket = connectTo(url, transport, jwt.sign({ sub: "u1" }));
    expect(await socket.timeout(5000).emitWithAck("ask")).toBe("hello");
  });

  it.each(["polling", "websocket"] as const)("refuses over %s a token that is not accepted", async (transport) => {
    const { url } = await start();
    const socket = connectTo(url, transport, "x.y.z");
    const error = await new Promise<Error>((resolve) => socket.once("connect_error", resolve));
    // What engine.io adds to the error: the status, or the event of a WebSocket.
    const description: unknown = Reflect.get(error, "description");
    const told: unknown = typeof description === "object" ? Reflect.get(description ?? {}, "message") : description;
    expect(told).toEqual(transport === "polling" ? 401 : expect.stringContaining("401"));
    const good = connectTo(url, transport, jwt.sign({ sub: "u1" }));
    expect(await good.timeout(5000).emitWithAck("ask")).toBe("hello");
  });

  it("answers a refused handshake with the problem and the security headers, and closes", async () => {
    const { port } = await start();
    const answer = await handshake(port, []);
    expect(answer).toMatch(/^HTTP\/1.1 401 Unauthorized\r\n/);
    expect(answer).toMatch(/^WWW-Authenticate: Bearer\r$/m);
    expect(answer).toMatch(/^X-Frame-Options: DENY\r$/m);
    expect(answer).toMatch(/\r\n\r\n\{"type":"about:blank","title":"Unauthorized"/);
  });

  it("has the security headers on answers to polling, and counts both ways", async () => {
    const { url, port } = await start(RateLimitConfig.tokenBucket({ requests: 2, window: 60 }));
    const authorization = `Bearer ${jwt.sign({ sub: "u1" })}`;
    const poll = () => fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { authorization } });
    const first = await poll();
    expect(first.status).toBe(200);
    expect(first.headers.get("x-frame-options")).toBe("DENY");
    expect((await poll()).status).toBe(200);
    expect((await poll()).status).toBe(429);
    expect(await handshake(port, [`Authorization: ${authorization}`])).toMatch(
      /^HTTP\/1.1 429 Too Many Requests\r\n[\s\S]*Retry-After: /,
    );
  });
});
