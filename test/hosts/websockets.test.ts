import { createServer } from "node:http";
import websocket from "@fastify/websocket";
import { App, Security } from "cello";
import { cello } from "cello/express";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { chromiumPath } from "../browser/chromium.js";
import { sharedChromium } from "../shared/shared.js";

const secret = "a secret of more than thirty-two bytes, for tests";

interface Running {
  readonly url: string;
  readonly cookie: string;
  close(): unknown;
}

async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/login`, { method: "POST" });
  return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

const hosts: Readonly<Record<string, () => Promise<Running>>> = {
  "@fastify/websocket in App": async () => {
    const app = new App().enableSession({ secret });
    await app.register(websocket);
    app.post("/login", (request) => {
      request.session.set("userId", "u1");
      return "ok";
    });
    app.fastify.get("/live", { websocket: true }, (socket) => {
      socket.send("hello");
      socket.close();
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return { url, cookie: await signIn(url), close: () => app.close() };
  },
  "ws behind the middleware": async () => {
    const middleware = cello(new Security({ session: { secret } }));
    const sockets = new WebSocketServer({ noServer: true });
    const server = createServer((request, response) => {
      middleware(request, response, () => {
        const { session } = request as typeof request & { session: { set(key: string, value: string): void } };
        session.set("userId", "u1");
        response.end("ok");
      });
    });
    server.on("upgrade", async (request, socket, head) => {
      const { ServerResponse } = await import("node:http");
      const response = new ServerResponse(request);
      response.assignSocket(socket as typeof request.socket);
      middleware(request, response, () => {
        response.detachSocket(socket as typeof request.socket);
        sockets.handleUpgrade(request, socket, head, (live) => live.send("hello"));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    return { url, cookie: await signIn(url), close: () => server.closeAllConnections() ?? server.close() };
  },
};

/** What a client hears first: a message, or the status of a refusal. */
function open(url: string, headers: Record<string, string>): Promise<string | number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace("http:", "ws:")}/live`, { headers });
    socket.on("message", (data) => {
      resolve(String(data));
      socket.terminate();
    });
    socket.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    socket.on("error", () => resolve(0));
  });
}

describe.each(Object.entries(hosts))("a WebSocket, with %s", (_name, start) => {
  let running: Running;
  afterEach(() => running.close());

  it("is not opened with a user's cookie by another site", async () => {
    running = await start();
    const { url, cookie } = running;
    expect(cookie).not.toBe("");
    expect(await open(url, { cookie, origin: "https://evil.example" })).toBe(403);
    expect(await open(url, { cookie, origin: url })).toBe("hello");
    expect(await open(url, { cookie })).toBe("hello");
  });

  it.skipIf(chromiumPath === undefined)("is not opened by another site's page in Chromium", async () => {
    running = await start();
    const { url, cookie } = running;
    const other = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<title>a page</title>");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const otherUrl = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const browser = await sharedChromium();
    try {
      const context = await browser.newContext();
      const [name = "", value = ""] = cookie.split(/=(.*)/s);
      // Cookies know no ports: the other page's handshake carries it too.
      await context.addCookies([{ name, value, url }]);
      const page = await context.newPage();
      const script = `new Promise((resolve) => {
        const socket = new WebSocket(${JSON.stringify(`${url.replace("http:", "ws:")}/live`)});
        socket.onmessage = (event) => resolve(event.data);
        socket.onerror = () => resolve("refused");
      })`;
      await page.goto(otherUrl);
      expect(await page.evaluate(script)).toBe("refused");
    } finally {
      await browser.close();
      other.close();
    }
  });
});
