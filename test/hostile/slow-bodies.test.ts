import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { App, RateLimitConfig, type SecurityEvents } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { appHost, hosts, type RunningHost } from "./place-hosts.js";
import { expectSurvival } from "./survival.js";

expectSurvival();

let host: RunningHost;
afterEach(() => host.close());

const limit = (more: Partial<Parameters<typeof RateLimitConfig.adaptive>[0]> = {}) =>
  RateLimitConfig.adaptive({ baseRequests: 100_000, minRequests: 100_000, window: 60, maxConcurrency: 20, ...more });
const load = () => host.security.rateLimits.load;
const places = () => load().limits[0]?.concurrency?.inProgress;

const slowHead = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
const restOfBody = `"a":"${"x".repeat(992)}"}`;
const never = "GET /never HTTP/1.1\r\nHost: x\r\n\r\n";

describe.each(Object.entries(hosts))("%s", (_name, start) => {
  it("keeps no place for bodies that do not come, and counts them when they do", async () => {
    const told = { logins: 0 };
    host = await start(limit(), told);
    const sockets = await dialMany(20);
    for (const socket of sockets) socket.write(slowHead);
    await until(() => host.security.load.waiting === 20);
    expect(places()).toBe(0);
    expect(await get("/quick")).toBe(200);
    const answers = sockets.map((socket) => firstStatus(socket));
    for (const socket of sockets) socket.write(restOfBody);
    expect(await Promise.all(answers)).toEqual(sockets.map(() => 200));
    expect(told.logins).toBe(20);
    await until(() => places() === 0 && host.security.load.waiting === 0);
    for (const socket of sockets) socket.destroy();
  });

  it("forgets bodies that never come with their clients", async () => {
    host = await start(limit(), { logins: 0 });
    const sockets = await dialMany(5);
    for (const socket of sockets) socket.write(slowHead);
    await until(() => host.security.load.waiting === 5);
    for (const socket of sockets) socket.resetAndDestroy();
    await until(() => host.security.load.waiting === 0);
    expect(places()).toBe(0);
  });

  it("keeps a place for a handler that works without the body", async () => {
    host = await start(limit(), { logins: 0 });
    const socket = await dial();
    socket.write("GET /never HTTP/1.1\r\nHost: x\r\nContent-Type: text/x-unread\r\nContent-Length: 1000\r\n\r\n{");
    await until(() => places() === 1);
    await turns(5);
    expect(places()).toBe(1);
    socket.destroy();
    await until(() => places() === 0);
  });

  it("lets one client hold a quarter of the places, and others the rest", async () => {
    host = await start(limit(), { logins: 0 });
    const warnings: string[] = [];
    const shed: SecurityEvents["ratelimit.shed"]["reason"][] = [];
    host.security.on("config.warning", ({ code }) => warnings.push(code));
    host.security.on("ratelimit.shed", ({ reason }) => shed.push(reason));
    const sockets = await dialMany(20);
    for (const socket of sockets) socket.write(never);
    await until(() => shed.length === 15);
    expect(places()).toBe(5);
    expect(shed.every((reason) => reason === "client")).toBe(true);
    expect(warnings.filter((code) => code === "CELLO_CLIENT_SHARE")).toHaveLength(1);
    expect(await statusFrom("127.0.0.2", "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")).toBe(200);
    expect(await statusFrom("127.0.0.1", "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")).toBe(503);
    for (const socket of sockets) socket.destroy();
    await until(() => places() === 0);
  });

  it("bounds requests with bodies that came in one turn of the event loop", async () => {
    const told = { logins: 0 };
    host = await start(limit({ clientShare: 1, maxConcurrency: 3 }), told);
    const socket = await dial();
    socket.write(
      "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".repeat(5),
    );
    let received = "";
    socket.setEncoding("latin1").on("data", (chunk) => {
      received += chunk;
    });
    await until(() => received.split("HTTP/1.1 ").length === 6);
    const statuses = received.match(/(?<=HTTP\/1\.1 )\d+/g)?.toSorted();
    expect(statuses).toEqual(["200", "200", "200", "503", "503"]);
    socket.destroy();
  });
});

describe("a client's share", () => {
  it("is all places where there are only a few, and what the limit says", async () => {
    host = await appHost(limit({ maxConcurrency: 7 }), { logins: 0 });
    let sockets = await dialMany(7);
    for (const socket of sockets) socket.write(never);
    await until(() => places() === 7);
    for (const socket of sockets) socket.destroy();
    await host.close();
    host = await appHost(limit({ clientShare: 0.5 }), { logins: 0 });
    sockets = await dialMany(20);
    for (const socket of sockets) socket.write(never);
    await until(() => places() === 10);
    expect(await get("/quick")).toBe(503);
    for (const socket of sockets) socket.destroy();
  });

  it("is that of a key, where the limit counts by one", async () => {
    const key = ({ headers }: { readonly headers: Readonly<Record<string, string | string[] | undefined>> }) =>
      String(headers["x-tenant"]);
    host = await appHost(limit({ key }), { logins: 0 });
    const sockets = await dialMany(12);
    sockets.forEach((socket, index) => {
      socket.write(`GET /never HTTP/1.1\r\nHost: x\r\nX-Tenant: ${index % 2}\r\n\r\n`);
    });
    await until(() => places() === 10);
    for (const socket of sockets) socket.destroy();
  });

  it("bounds the uploads that one client has waiting by the places, and refuses it nothing else", async () => {
    host = await appHost(limit(), { logins: 0 });
    const sockets = await dialMany(25);
    const refused: Promise<number>[] = [];
    for (const socket of sockets.slice(0, 20)) {
      socket.write(slowHead);
    }
    await until(() => host.security.load.waiting === 20);
    for (const socket of sockets.slice(20)) {
      refused.push(firstStatus(socket));
      socket.write(slowHead);
    }
    expect(await Promise.all(refused)).toEqual([503, 503, 503, 503, 503]);
    expect(await get("/quick")).toBe(200);
    for (const socket of sockets) socket.destroy();
  });
});

describe("requestTimeout of an App", () => {
  it("is a minute, or what is given, also to Node's server", () => {
    const timeoutOf = (options?: ConstructorParameters<typeof App>[0]) =>
      Reflect.get(new App(options).fastify.server, "requestTimeout");
    expect(timeoutOf()).toBe(60_000);
    expect(timeoutOf({ requestTimeout: 5000 })).toBe(5000);
    expect(timeoutOf({ requestTimeout: 0 })).toBe(0);
    expect(timeoutOf({ http: { requestTimeout: 7000 } })).toBe(7000);
    expect(timeoutOf({ http2: true, https: { allowHTTP1: true } })).toBe(60_000);
    host = { port: 0, security: new App().security, close: async () => {} };
  });

  it("ends a request whose body does not come with 408", async () => {
    const options = { requestTimeout: 50, http: { connectionsCheckingInterval: 20 } };
    host = await appHost(limit(), { logins: 0 }, options);
    const socket = await dial();
    socket.write(slowHead);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 408 /);
    await until(() => host.security.load.waiting === 0);
  });

  it("ends a stream of HTTP/2 whose body does not come with 408, and no other", async () => {
    host = await appHost(limit(), { logins: 0 }, { http2: true, requestTimeout: 200 });
    const session = await dialHttp2();
    const late = post(session, "{");
    const unread = session.request({ ":method": "POST", ":path": "/never", "content-type": "application/json" });
    unread.end("{}");
    const [headers] = await once(late, "response");
    expect(headers[":status"]).toBe(408);
    expect(JSON.parse(await text(late))).toMatchObject({ status: 408 });
    await until(() => host.security.load.waiting === 0);
    const quick = session.request({ ":path": "/quick" });
    const [answer] = await once(quick, "response");
    expect(answer[":status"]).toBe(200);
    session.destroy();
  });
});

describe("HTTP/2", () => {
  it("keeps no place for streams whose bodies do not come", async () => {
    const told = { logins: 0 };
    host = await appHost(limit({ maxConcurrency: 120 }), told, { http2: true });
    const session = await dialHttp2();
    const streams = Array.from({ length: 30 }, () => post(session, "{"));
    await until(() => host.security.load.waiting === 30);
    expect(places()).toBe(0);
    const quick = session.request({ ":path": "/quick" });
    const [headers] = await once(quick, "response");
    expect(headers[":status"]).toBe(200);
    const answers = streams.map((stream) => once(stream, "response"));
    for (const stream of streams.slice(0, 10)) stream.end(restOfBody);
    await Promise.all(answers.slice(0, 10));
    expect(told.logins).toBe(10);
    for (const stream of streams.slice(10, 20)) stream.close(8);
    await until(() => host.security.load.waiting === 10);
    session.destroy();
    await until(() => host.security.load.waiting === 0 && places() === 0);
  });

  it("has the places of streams back that were reset, whenever that was", async () => {
    host = await appHost(limit(), { logins: 0 }, { http2: true });
    const session = await dialHttp2();
    for (let round = 0; round < 20; round++) {
      const streams = Array.from({ length: 5 }, () => session.request({ ":path": "/never" }));
      if (round % 2 === 1) await turns(round);
      for (const stream of streams) stream.close(8);
      await until(() => streams.every(({ closed }) => closed));
    }
    await until(() => places() === 0);
    session.destroy();
  });
});

function post(session: ClientHttp2Session, body: string): ClientHttp2Stream {
  const stream = session.request({ ":method": "POST", ":path": "/login", "content-type": "application/json" });
  stream.on("error", () => {});
  stream.write(body);
  return stream;
}

async function dialHttp2(): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${host.port}`);
  await once(session, "connect");
  return session;
}

async function dial(localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port: host.port, host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

function dialMany(count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => dial()));
}

async function firstStatus(socket: Socket): Promise<number> {
  const [chunk] = await once(socket, "data");
  return Number(chunk.toString("latin1").slice(9, 12));
}

async function statusFrom(localAddress: string, request: string): Promise<number> {
  const socket = await dial(localAddress);
  socket.write(request);
  const status = await firstStatus(socket);
  socket.destroy();
  return status;
}

async function get(path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${host.port}${path}`, { headers: { connection: "close" } });
  await response.text();
  return response.status;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
