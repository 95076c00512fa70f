import { connect, type Socket } from "node:net";
import { App, RateLimitConfig } from "cello";
import { afterEach, describe, expect, it } from "vitest";

let app: App;
let address = "";
afterEach(() => app.close());

async function start(): Promise<void> {
  app = new App();
  app.enableRateLimit(
    RateLimitConfig.adaptive({ baseRequests: 1000, minRequests: 1000, window: 60, maxConcurrency: 100 }),
  );
  app.get("/", () => "hello");
  app.get("/throws", () => {
    throw new Error("on purpose");
  });
  app.get("/never", () => new Promise(() => {}));
  app.get("/hijacked", (_request, reply) => {
    reply.hijack();
    reply.raw.socket?.destroy();
  });
  app.get("/stream", (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/event-stream" });
    reply.raw.write("data: first\n\n");
  });
  app.get("/busy", () => {
    const untilMs = performance.now() + 300;
    while (performance.now() < untilMs);
    return "done";
  });
  address = await app.listen({ port: 0, host: "127.0.0.1" });
}

const inFlight = () => app.rateLimit.load.limits[0]?.concurrency?.inProgress;

async function send(text: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  await new Promise<void>((resolve) => socket.write(text, () => resolve()));
  return socket;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe("requests in flight", () => {
  it("are none after answers, errors, unknown paths, pipelines and hijacked replies", async () => {
    await start();
    for (const path of ["/", "/throws", "/unknown"]) await (await fetch(`${address}${path}`)).text();
    await fetch(`${address}/hijacked`).catch(() => {});
    const socket = await send(get("/").repeat(5));
    let received = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      received += chunk;
    });
    await until(() => received.split("HTTP/1.1 200").length === 6);
    socket.destroy();
    await until(() => inFlight() === 0);
  });

  it("are none when clients go that were never answered", async () => {
    await start();
    const sockets = await Promise.all([send(get("/never")), send(get("/never")), send(get("/never").repeat(2))]);
    await until(() => inFlight() === 4);
    for (const socket of sockets) socket.destroy();
    await until(() => inFlight() === 0);
  });

  it("do not count streams whose head is written", async () => {
    await start();
    const socket = await send(get("/stream"));
    await new Promise((resolve) => socket.once("data", resolve));
    expect(inFlight()).toBe(0);
    socket.destroy();
    // Leaving twice would count below nothing.
    await fetch(address);
    expect(inFlight()).toBe(0);
  });
});

describe("latency", () => {
  it("includes the wait for a busy event loop", async () => {
    await start();
    const busy = await send(get("/busy"));
    // So many that the busy one itself is not the 95th percentile.
    const waiting = await send(get("/").repeat(60));
    await Promise.all([busy, waiting].map((socket) => new Promise((resolve) => socket.once("data", resolve))));
    await until(() => app.rateLimit.load.latencyMs > 0);
    expect(app.rateLimit.load.latencyMs).toBeGreaterThan(100);
    busy.destroy();
    waiting.destroy();
  });
});
