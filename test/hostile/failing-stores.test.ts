import { App, CSP, RateLimitConfig, type RateLimitStore, type SecurityEvents, type SessionStore } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { LocalStore, RemoteStore } from "./stores.js";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, header, request, type WireResponse } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A store that breaks the promises of its interface. */
const lawless: Readonly<Record<string, () => SessionStore>> = {
  "says that it answers at once and does not": () =>
    Object.assign(new RemoteStore(), { isSynchronous: true, isDown: true }),
  "answers with nonsense": () => lawlessStore(() => "nonsense"),
  "answers with half a record": () => lawlessStore(() => ({ data: {}, version: "1" })),
  "rejects with nothing": () => lawlessStore(() => Promise.reject(undefined)),
};

/** As JavaScript writes it, which no compiler stops. */
function lawlessStore(answer: () => unknown): SessionStore {
  const store: unknown = { load: answer, save: answer, touch: answer, delete: answer };
  if (!isSessionStore(store)) throw new TypeError("not a store");
  return store;
}

function isSessionStore(value: unknown): value is SessionStore {
  return typeof value === "object";
}

describe.each([
  ["a remote store", () => new RemoteStore()],
  ["a local store that throws", () => new LocalStore()],
  ["a local store that does not say so", () => new LocalStore(false)],
] as const)("sessions in %s", (_name, createStore) => {
  let app: App;
  let url: string;
  let store: RemoteStore | LocalStore;
  const events: string[] = [];

  const start = async () => {
    events.length = 0;
    store = createStore();
    app = new App();
    app.enableSession({ secret, store });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.on("store.error", ({ message }: SecurityEvents["store.error"]) => events.push(`error: ${message}`));
    app.on("store.recovered", () => events.push("recovered"));
    app.get("/plain", () => "plain");
    app.get("/me", (request) => ({ user: request.session.get("user") ?? null }));
    app.post("/login", async (request) => {
      await request.session.regenerate();
      request.session.set("user", "u1");
      return { token: "secret" };
    });
    app.post("/careless", (request) => {
      request.session.regenerate();
      request.session.set("user", "u1");
      return { token: "secret" };
    });
    app.post("/raw", (request, reply) => {
      request.session.set("user", "u1");
      reply.hijack();
      reply.raw.writeHead(200, { "Content-Type": "text/plain", "Set-Cookie": "own=1" });
      reply.raw.write("secret");
      setTimeout(() => reply.raw.write("secret"), 10);
      setTimeout(() => reply.raw.end("secret"), 20);
    });
    app.post("/later", (request, reply) => {
      request.session.set("user", "u1");
      setTimeout(() => reply.header("X-Secret", "secret").send("secret"), 5);
      return reply;
    });
    app.post("/logout", async (request) => {
      await request.session.destroy();
      return { ok: true };
    });
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  };
  afterEach(() => app.close());

  const post = (path: string, ...headers: string[]) => request(url, `POST ${path}`, ["Content-Length: 0", ...headers]);
  const expectUnavailable = (response: WireResponse) => {
    expect(response.status).toBe(503);
    expect(header(response, "retry-after")).toBe("1");
    expect(header(response, "content-type")).toBe("application/problem+json");
    expect(header(response, "set-cookie")).toBeUndefined();
    expect(JSON.stringify(response)).not.toMatch(/secret|ECONN|locked/);
    expectSecurityHeaders(response);
  };

  it("are refused with 503 while it fails, and go on when it is back", async () => {
    await start();
    const cookie = (header(await post("/login"), "set-cookie") ?? "").split(";")[0] ?? "";
    store.isDown = true;
    for (const path of ["/login", "/careless", "/raw", "/later", "/logout"]) {
      expectUnavailable(await post(path, `Cookie: ${cookie}`));
    }
    for (const path of ["/login", "/careless", "/raw", "/later"]) expectUnavailable(await post(path));
    expectUnavailable(await request(url, "GET /me", [`Cookie: ${cookie}`]));
    expect(events.length).toBe(1);
    expect(events[0]).toMatch(/^error: /);
    store.isDown = false;
    const me = await request(url, "GET /me", [`Cookie: ${cookie}`]);
    expect(me.body).toBe('{"user":"u1"}');
    expect(events.at(-1)).toBe("recovered");
  });

  it("do not stop requests without one", async () => {
    await start();
    store.isDown = true;
    expect((await request(url, "GET /plain")).body).toBe("plain");
    expect((await request(url, "GET /me")).body).toBe('{"user":null}');
  });
});

describe("a remote store that is slow", () => {
  it("has saved before the client hears of it", async () => {
    const app = new App();
    const store = new RemoteStore();
    store.delayMs = 30;
    app.enableSession({ secret, store });
    app.get("/me", (request) => ({ user: request.session.get("user") ?? null }));
    app.post("/raw", (request, reply) => {
      request.session.set("user", "u1");
      reply.hijack();
      reply.raw.writeHead(200, { "Content-Type": "text/plain" });
      for (const part of ["a", "b", "c"]) reply.raw.write(part);
      reply.raw.end("d");
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await request(url, "POST /raw", ["Content-Length: 0"]);
    expect(response.body).toBe("abcd");
    const cookie = (header(response, "set-cookie") ?? "").split(";")[0];
    expect((await request(url, "GET /me", [`Cookie: ${cookie}`])).body).toBe('{"user":"u1"}');
    await app.close();
  });
});

describe.each(Object.entries(lawless))("a session store that %s", (_name, createStore) => {
  it("is a store that fails", async () => {
    const app = new App();
    app.enableSession({ secret, store: createStore() });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.post("/login", (request) => {
      request.session.set("user", "u1");
      return "in";
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await request(url, "POST /login", ["Content-Length: 0"]);
    expect(response.status).toBe(503);
    expect(header(response, "set-cookie")).toBeUndefined();
    expectSecurityHeaders(response);
    await later(10);
    await app.close();
  });
});

/** Fails in one of the ways in which a store can. */
const failing: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new Error("no route to host");
  },
  rejects: () => Promise.reject(new Error("no route to host")),
  "answers with nothing": () => undefined,
  "answers with nonsense later": async () => ({ isAllowed: "yes" }),
};

describe.each(Object.entries(failing))("a limit whose store %s", (_name, fail) => {
  it.each([
    ["local", [200, 200, 429]],
    ["allow", [200, 200, 200]],
    ["deny", [503, 503, 503]],
  ] as const)("does what onStoreError says: %s", async (onStoreError, statuses) => {
    const broken: unknown = { consume: fail, peek: fail, reset: fail };
    const store = isStore(broken) ? broken : undefined;
    const app = new App();
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 2, window: 1000, store, onStoreError }));
    app.get("/", () => "x");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    for (const status of statuses) {
      const response = await request(url, "GET /");
      expect(response.status).toBe(status);
      expectSecurityHeaders(response);
    }
    await app.close();
  });
});

function isStore(value: unknown): value is RateLimitStore {
  return typeof value === "object";
}
