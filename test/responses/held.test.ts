import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { connect } from "node:net";
import fastifyCompress from "@fastify/compress";
import { App, Security } from "cello";
import { cello, isSecured } from "cello/express";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LaterStore } from "./later-store.js";
import { serve, view } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A handler of `node:http` behind the middleware, with a session that has to be saved. */
function held(handler: Handler, store = new LaterStore()): Handler {
  const layer = cello(new Security({ session: { secret, store }, securityHeaders: {} }));
  return (request, response) =>
    layer(request, response, () => {
      if (isSecured(request)) request.session.set("visit", Math.random());
      handler(request, response);
    });
}

async function start(handler: Handler, store?: LaterStore) {
  const served = await serve(held(handler, store));
  closers.push(served.close);
  return served;
}

const get = (port: number) => view(port, ["GET / HTTP/1.1"]);

describe("a response that waits for its session", () => {
  it("looks sent to those who ask, and takes no more fields", async () => {
    const looks: unknown[] = [];
    const { port } = await start((_request, response) => {
      looks.push([response.headersSent, response.writableEnded]);
      response.writeHead(200, { "X-Own": "1" });
      looks.push([response.headersSent, response.writableEnded]);
      response.setHeader("X-Late", "1");
      response.statusCode = 500;
      response.end("ok");
      looks.push([response.headersSent, response.writableEnded]);
      response.on("finish", () => looks.push([response.headersSent, response.writableEnded]));
    });
    const answer = await get(port);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(answer).toContain("X-Own: 1");
    expect(answer).not.toContain("X-Late");
    expect(looks).toEqual([
      [false, false],
      [true, false],
      [true, true],
      [true, true],
    ]);
  });

  it("keeps the length of a body that is given whole", async () => {
    const { port } = await start((_request, response) => response.end("hello"));
    const answer = await get(port);
    expect(answer).toMatch(/^Content-Length: 5\r$/m);
    expect(answer).toMatch(/\r\n\r\nhello$/);
  });

  it("refuses a second head, as Node does", async () => {
    let error: unknown;
    const { port } = await start((_request, response) => {
      response.writeHead(200);
      try {
        response.writeHead(500);
      } catch (caught) {
        error = caught;
      }
      response.end("ok");
    });
    expect(await get(port)).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(error).toMatchObject({ code: "ERR_HTTP_HEADERS_SENT" });
  });

  it("tells who writes after the end, and keeps the answer", async () => {
    const errors: unknown[] = [];
    const { port } = await start((_request, response) => {
      response.end("ok");
      response.write("more", (error) => errors.push(error));
      response.end("more", () => errors.push("ended"));
    });
    expect(await get(port)).toMatch(/\r\n\r\nok$/);
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_STREAM_WRITE_AFTER_END" }), "ended"]);
  });

  it("lets informational responses pass at once, and keeps trailers", async () => {
    const { port } = await start((_request, response) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      response.writeHead(200, { Trailer: "X-Sum" });
      response.write("ok");
      response.addTrailers({ "X-Sum": "7" });
      response.end();
    });
    const answer = await get(port);
    expect(answer).toMatch(/^HTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 103 Early Hints\r\n/);
    expect(answer).toMatch(/HTTP\/1.1 200 OK\r\n[\s\S]*X-Frame-Options: DENY[\s\S]*\r\nX-Sum: 7\r\n/);
  });

  it("begins with the body that was told to continue", async () => {
    const served = await serve(
      createServer().on(
        "checkContinue",
        held((request, response) => {
          response.writeContinue();
          request.on("data", () => undefined).on("end", () => response.end("thanks"));
        }),
      ),
    );
    closers.push(served.close);
    const lines = ["POST / HTTP/1.1", "Expect: 100-continue", "Content-Length: 2"];
    expect(await view(served.port, lines, "ab")).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });

  it("survives corks", async () => {
    const { port } = await start((_request, response) => {
      response.cork();
      response.write("a");
      response.write("b");
      response.uncork();
      response.end("c");
    });
    // How many chunks Node makes of it depends on its version.
    const [, chunks = ""] = (await get(port)).split(/\r\n\r\n(.*)/s);
    expect(chunks.replace(/\d\r\n([abc]+)\r\n/g, "$1")).toBe("abc0\r\n\r\n");
  });

  it("asks a writer to wait, and tells it once when there is room", async () => {
    const told = vi.fn();
    let answer: unknown;
    const { port } = await start((_request, response) => {
      answer = response.write("a");
      response.on("drain", () => {
        told();
        response.end("b");
      });
    });
    expect(await get(port)).toMatch(/1\r\na\r\n1\r\nb\r\n0\r\n\r\n$/);
    expect(answer).toBe(false);
    expect(told).toHaveBeenCalledTimes(1);
  });

  it("does not fail for a client that goes away meanwhile", async () => {
    const signals = new EventEmitter();
    let isFirst = true;
    const { port } = await start((_request, response) => {
      if (!isFirst) return response.end("ok");
      isFirst = false;
      response.write("a".repeat(100_000));
      response.end("b");
      response.on("close", () => signals.emit("gone"));
      response.req.socket.destroy();
      return undefined;
    });
    const gone = once(signals, "gone");
    const socket = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await gone;
    socket.destroy();
    expect(await get(port)).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  });

  it("answers 500 when a call that waited fails, and drops the rest", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const { port } = await start((_request, response) => {
      response.writeHead(200, { "X-Own": "a\r\nb" });
      response.write("a");
      setTimeout(() => response.end("b"), 5);
    });
    expect(await get(port)).toMatch(/^HTTP\/1.1 500 Internal Server Error\r\n[\s\S]*X-Frame-Options: DENY/);
    expect(warned).toHaveBeenCalledWith(expect.stringContaining("could not be written"), expect.anything());
    warned.mockRestore();
  });

  // Gone in Node 26.
  const hasOldName = "writeHeader" in ServerResponse.prototype;
  it.runIf(hasOldName)("carries the security headers when the head is written by its old name", async () => {
    const { port } = await start((_request, response) => {
      Reflect.apply(Reflect.get(response, "writeHeader"), response, [201, { "X-Own": "1" }]);
      response.end("ok");
    });
    expect(await get(port)).toMatch(/^HTTP\/1.1 201 Created\r\n[\s\S]*X-Frame-Options: DENY/);
  });

  it("is the same in HTTP/2", async () => {
    const server = createHttp2Server();
    const handler = held((request, response) => {
      if (request.url === "/flush") {
        response.flushHeaders();
        setTimeout(() => response.end("late"), 5);
        return;
      }
      response.statusCode = 202;
      response.write("a");
      response.statusCode = 500;
      response.setHeader("x-late", "1");
      response.end("b");
    });
    // The compatibility classes of HTTP/2 stand in for those of HTTP/1, which is what they are for.
    server.on("request", (request, response) => Reflect.apply(handler, undefined, [request, response]));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("not listening on a port");
    const client = connectHttp2(`http://127.0.0.1:${address.port}`);
    closers.push(async () => {
      client.close();
      server.close();
    });
    for (const [path, status, body] of [
      ["/", 202, "ab"],
      ["/flush", 200, "late"],
    ] as const) {
      const stream = client.request({ ":path": path });
      const [headers] = await once(stream, "response");
      expect(headers).toMatchObject({ ":status": status, "x-frame-options": "DENY" });
      expect(headers).not.toHaveProperty("x-late");
      let text = "";
      for await (const chunk of stream.setEncoding("utf8")) text += chunk;
      expect(text).toBe(body);
    }
  });
});

describe("an App whose sessions are in a store that answers later", () => {
  it("compresses, and answers once when a handler sends and returns nothing", async () => {
    const app = new App();
    app.enableSession({ secret, store: new LaterStore() });
    app.enableSecurityHeaders();
    await app.register(fastifyCompress, { threshold: 0 });
    app.get("/", (request) => {
      request.session.set("visit", 1);
      return { text: "hello ".repeat(100) };
    });
    app.get("/sends", async (request, reply) => {
      request.session.set("visit", 1);
      reply.send({ sent: true });
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    closers.push(() => app.close());
    const response = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(response.headers.get("x-frame-options")).toBe("DENY");
    expect(await response.json()).toEqual({ text: "hello ".repeat(100) });
    expect(await (await fetch(`${url}/sends`)).json()).toEqual({ sent: true });
  });
});
