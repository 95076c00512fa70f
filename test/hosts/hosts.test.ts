import {
  CSP,
  Jwt,
  MemorySessionStore,
  RateLimitConfig,
  type SecurityOptions,
  type SessionRecord,
  type SessionStore,
} from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { hosts, type RunningHost } from "./hosts.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });

const everything = (): SecurityOptions => ({
  jwt: { secret, exclude: ["/login", "/own", "/logout"] },
  session: { secret },
  securityHeaders: { csp: new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE) },
  rateLimit: RateLimitConfig.tokenBucket({ requests: 20, window: 60 }),
  trustProxy: "loopback",
});

/** A store that answers later, as one over a network does. */
class LateStore implements SessionStore {
  readonly #store = new MemorySessionStore();
  isDown = false;

  async load(id: string) {
    return this.#answer(() => this.#store.load(id));
  }
  async save(id: string, record: SessionRecord, expectedVersion: number) {
    return this.#answer(() => this.#store.save(id, record, expectedVersion));
  }
  async touch(id: string, times: Parameters<SessionStore["touch"]>[1]) {
    return this.#answer(() => this.#store.touch(id, times));
  }
  async delete(id: string) {
    return this.#answer(() => this.#store.delete(id));
  }
  async #answer<Value>(answer: () => Value): Promise<Value> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.isDown) throw new Error("connection refused");
    return answer();
  }
}

describe.each(Object.entries(hosts))("on %s", (_name, start) => {
  let host: RunningHost;
  const get = (path: string, headers: Record<string, string> = {}) => fetch(host.url + path, { headers });
  const login = (headers: Record<string, string> = {}) => fetch(`${host.url}/login`, { method: "POST", headers });
  const bearer = () => ({ authorization: `Bearer ${jwt.sign({ sub: "u1" })}` });
  const cookieOf = (response: Response) => (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";

  afterEach(() => host.close());

  it("gives the handler claims, session and client address", async () => {
    host = await start(everything());
    const signedIn = await login();
    expect(signedIn.status).toBe(200);
    expect(signedIn.headers.get("cache-control")).toBe("no-store");
    const me = await get("/me", { ...bearer(), cookie: cookieOf(signedIn), "x-forwarded-for": "203.0.113.9" });
    expect(me.status).toBe(200);
    expect(await me.json()).toEqual({ sub: "u1", userId: "u1", clientIp: "203.0.113.9" });
    expect(me.headers.get("set-cookie")).toBeNull();
  });

  it("writes the same security headers on answers and refusals", async () => {
    host = await start(everything());
    for (const [headers, status] of [
      [bearer(), 200],
      [{}, 401],
      [{ authorization: "Bearer x.y.z" }, 401],
    ] as const) {
      const response = await get("/me", headers);
      expect(response.status).toBe(status);
      expect(response.headers.get("strict-transport-security")).toBe("max-age=31536000; includeSubDomains");
      expect(response.headers.get("x-frame-options")).toBe("DENY");
      expect(response.headers.get("x-powered-by")).toBeNull();
      expect(response.headers.get("content-security-policy")).toMatch(/'nonce-[A-Za-z0-9+/]{22}=='/);
      expect(response.headers.get("ratelimit-policy")).toBe('"default";q=20;w=60');
    }
  });

  it("answers refusals with the same bytes", async () => {
    host = await start(everything());
    const response = await get("/me");
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(await response.text()).toMatchInlineSnapshot(
      `"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"This resource needs a token."}"`,
    );
  });

  it("lets a header that the handler set itself win", async () => {
    host = await start(everything());
    const response = await get("/own");
    expect(response.headers.get("x-frame-options")).toBe("SAMEORIGIN");
  });

  it("limits, and admits again who waited as long as told", async () => {
    let nowMs = 1_000_000;
    const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
    host = await start({
      rateLimit: RateLimitConfig.tokenBucket({ requests: 2, window: 10 }),
      session: { secret },
      clock,
    });
    expect((await get("/own")).status).toBe(200);
    expect((await get("/own")).status).toBe(200);
    const refused = await get("/own");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("ratelimit")).toBe('"default";r=0;t=5');
    expect(await refused.json()).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      "violated-policies": ["default"],
    });
    nowMs += Number(refused.headers.get("retry-after")) * 1000;
    expect((await get("/own")).status).toBe(200);
  });

  it("refuses a cross-site request that carries the session", async () => {
    host = await start(everything());
    const cookie = cookieOf(await login());
    expect((await login({ cookie, "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await login({ cookie, "sec-fetch-site": "same-origin" })).status).toBe(200);
  });

  it("keeps sessions in an asynchronous store, and forgets them", async () => {
    const store = new LateStore();
    host = await start({ session: { secret, store } });
    const cookie = cookieOf(await login());
    expect(cookie).toMatch(/^session_id=/);
    expect(await (await get("/me", { cookie })).json()).toMatchObject({ userId: "u1" });
    const gone = await get("/logout", { cookie });
    expect(gone.headers.get("set-cookie")).toMatch(/Max-Age=0/);
    expect(await (await get("/me", { cookie })).json()).not.toHaveProperty("userId");
  });

  it("answers 503 and sets no cookie when the session store is down", async () => {
    const store = new LateStore();
    host = await start({ session: { secret, store }, securityHeaders: {} });
    const cookie = cookieOf(await login());
    store.isDown = true;
    for (const response of [await get("/me", { cookie }), await login()]) {
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(response.headers.get("set-cookie")).toBeNull();
      expect(response.headers.get("x-frame-options")).toBe("DENY");
    }
    store.isDown = false;
    expect(await (await get("/me", { cookie })).json()).toMatchObject({ userId: "u1" });
  });
});
