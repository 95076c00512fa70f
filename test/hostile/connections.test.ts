import { connect } from "node:net";
import { App, CSP, MemorySessionStore, type SessionStore } from "cello";
import { describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, parse, request, send } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A store that answers after a while. */
function slowStore(milliseconds: number): SessionStore {
  const store = new MemorySessionStore();
  const slowly = async <Value>(value: Value) => {
    await later(milliseconds);
    return value;
  };
  return {
    load: (id) => slowly(store.load(id)),
    save: (id, record, version) => slowly(store.save(id, record, version)),
    touch: (id, times) => slowly(store.touch(id, times)),
    delete: (id) => slowly(store.delete(id)),
  };
}

function createApp(store?: SessionStore) {
  const app = new App({ forceCloseConnections: true });
  app.enableSession({ secret, store });
  app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
  app.get("/", () => "hello");
  app.get("/slow", async (request) => {
    await later(80);
    request.session.set("a", 1);
    return "slow";
  });
  app.get("/stream", (request, reply) => {
    request.session.set("a", 1);
    reply.raw.writeHead(200, { "Content-Type": "text/plain" });
    const timer = setInterval(() => reply.raw.write("x".repeat(10_000)), 2);
    reply.raw.on("close", () => clearInterval(timer));
    return reply.hijack();
  });
  app.post("/upload", (request) => ({ bytes: JSON.stringify(request.body ?? "").length }));
  return app;
}

/** Sends and hangs up after a while, without waiting for an answer. */
function hangUp(url: string, bytes: string, afterMs: number, how: "end" | "destroy" | "resetAndDestroy") {
  const { hostname, port } = new URL(url);
  return new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.resume();
    socket.write(bytes);
    setTimeout(() => {
      socket[how]();
      if (how === "end") setTimeout(() => socket.destroy(), 100);
    }, afterMs);
  });
}

describe.each([
  ["a sealed session", undefined],
  ["a session in a slow store", slowStore(15)],
] as const)("with %s", (_name, store) => {
  it("clients that hang up at any moment harm nobody", async () => {
    const app = createApp(store);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const head = (start: string, more = "") => `${start} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
    const starts = [
      "GET",
      head("GET /").slice(0, -2),
      head("GET /slow"),
      head("GET /stream"),
      head("GET /slow") + head("GET /slow") + head("GET /"),
      `${head("POST /upload", "Content-Type: application/json\r\nContent-Length: 500\r\n")}{"a":`,
      `${head("POST /upload", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")}5\r\n{"a":`,
    ];
    const calls: Promise<void>[] = [];
    for (const start of starts) {
      for (const afterMs of [0, 5, 40, 90]) {
        for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
          calls.push(hangUp(url, start, afterMs, how));
        }
      }
    }
    await Promise.all(calls);
    const response = await request(url, "GET /slow");
    expect(response.status).toBe(200);
    expect(response.body).toBe("slow");
    expectSecurityHeaders(response);
    await later(100);
    await app.close();
  });

  it("requests that come while the application closes get 503 with the security headers", async () => {
    const app = createApp(store);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const one = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
    // Node takes the second request from the connection when the first one is answered, and by then we close.
    const received = send(url, one("/slow") + one("/"), { quietMs: 1000 });
    await later(30);
    const closed = app.fastify.close();
    const responses = parse(await received);
    await closed;
    for (const response of responses) {
      expect([200, 503]).toContain(response.status);
      expectSecurityHeaders(response);
    }
  });
});

describe("garbage behind a request", () => {
  it("does not end up in the body of an answer that has begun", async () => {
    const app = createApp();
    app.get("/drip", (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, { "Content-Length": "100" });
      reply.raw.write("drip");
      setTimeout(() => reply.raw.end("x".repeat(96)), 50);
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const { hostname, port } = new URL(url);
    const received = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(Number(port), hostname);
      socket.on("data", (chunk: Buffer) => {
        if (text === "") socket.write("garbage\r\n\r\n");
        text += chunk.toString();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(text));
      socket.write("GET /drip HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    expect(received.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(received).toContain("drip");
    await app.close();
  });
});

describe("an application that closes", () => {
  it("answers 503 on a connection that is open, and finishes what it began", async () => {
    const app = createApp();
    const slow = new App({ forceCloseConnections: false });
    slow.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    let open: (() => void) | undefined;
    slow.addHook("preClose", (done) => {
      open = done;
    });
    slow.get("/", () => "hello");
    const url = await slow.listen({ port: 0, host: "127.0.0.1" });
    const closed = slow.close();
    while (open === undefined) await later(1);
    const response = await request(url, "GET /");
    expect(response.status).toBe(503);
    expectSecurityHeaders(response);
    open();
    await closed;
    await app.close();
  });

  it("lets a request without a socket know as well", async () => {
    const app = createApp();
    await app.inject("/");
    await app.close();
    await expect(app.inject("/")).rejects.toThrow();
  });
});
