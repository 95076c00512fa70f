import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { App, CSP, RateLimitConfig } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, header, request, type WireResponse } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
/** How many the limit keeps, and ten times as many. */
const KEYS = 10_000;
const ADDRESSES = 10 * KEYS;

describe("a limit of two a client", () => {
  let app: App;
  let url: string;
  const start = async (options: ConstructorParameters<typeof App>[0], limit: object = {}) => {
    app = new App(options);
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 2, window: 10_000, ...limit }));
    app.get("/", (request) => request.clientIp);
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  };
  afterEach(() => app.close());
  const get = (...headers: string[]) => request(url, "GET /", headers);
  const expectRefused = (response: WireResponse) => {
    expect(response.status).toBe(429);
    expect(Number(header(response, "retry-after"))).toBeGreaterThan(0);
    expectSecurityHeaders(response);
  };

  it("is not escaped by headers that name another client, where nobody is trusted", async () => {
    await start({});
    const forged = [
      "X-Forwarded-For: 203.0.113.1",
      "X-Forwarded-For: 203.0.113.2, 203.0.113.3",
      "X-Real-IP: 203.0.113.4",
      "Forwarded: for=203.0.113.5",
      "CF-Connecting-IP: 203.0.113.6",
      "True-Client-IP: 203.0.113.7",
      "X-Client-IP: 203.0.113.8",
      "Via: 1.1 203.0.113.9",
    ];
    const responses = [];
    for (const line of forged) responses.push(await get(line));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 429, 429, 429, 429, 429, 429]);
    expect(responses[0]?.body).toBe("127.0.0.1");
    for (const response of responses.slice(2)) expectRefused(response);
  });

  it("is not escaped by what a client writes left of its proxy's word", async () => {
    await start({ trustProxy: "loopback" });
    expect((await get("X-Forwarded-For: 203.0.113.1, 198.51.100.7")).body).toBe("198.51.100.7");
    expect((await get("X-Forwarded-For: 203.0.113.2", "X-Forwarded-For: 198.51.100.7")).body).toBe("198.51.100.7");
    expectRefused(await get("X-Forwarded-For: 203.0.113.3,198.51.100.7"));
    expectRefused(await get("X-Forwarded-For: 127.0.0.1, 203.0.113.4, 198.51.100.7:4711"));
    expectRefused(await get("X-Forwarded-For: ::ffff:198.51.100.7"));
    expectRefused(await get("X-Forwarded-For: [::ffff:198.51.100.7]:1"));
    expect((await get("X-Forwarded-For: 198.51.100.8")).status).toBe(200);
  });

  it.each([
    "x",
    "",
    ",,,,",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "127.1",
    "1.2.3.4.5",
    "999.1.1.1",
    "::1::",
    "<script>alert(1)</script>",
    "unknown",
    "_hidden",
    "__proto__",
    `${"1.2.3.4, ".repeat(1000)}1.2.3.4.5`,
    "\xff\xfe",
    "a".repeat(10_000),
  ])("counts the proxy when the header names no address: %s", async (value) => {
    await start({ trustProxy: "loopback" });
    const response = await get(`X-Forwarded-For: ${value}`);
    expect(response.body).toBe("127.0.0.1");
    expectSecurityHeaders(response);
  });

  it("counts all addresses of an IPv6 network as one", async () => {
    await start({ trustProxy: "loopback" });
    expect((await get("X-Forwarded-For: 2001:db8:1:2::1")).status).toBe(200);
    expect((await get("X-Forwarded-For: 2001:db8:1:2:ffff::2")).status).toBe(200);
    expectRefused(await get("X-Forwarded-For: 2001:db8:1:2:3:4:5:6"));
    expect((await get("X-Forwarded-For: 2001:db8:1:3::1")).status).toBe(200);
  });

  it("holds when the functions of the application fail, and tells of it once", async () => {
    const failing: readonly object[] = [
      {
        key: () => {
          throw new Error("no user");
        },
      },
      { key: () => 5 },
      { key: async () => "u1" },
      { key: () => null },
      { key: () => "u1", cost: () => Number.NaN },
      { key: () => "u1", cost: () => -5 },
      {
        cost: () => {
          throw new Error("no cost");
        },
      },
    ];
    for (const limit of failing) {
      await start({}, limit);
      const warnings: string[] = [];
      app.on("config.warning", ({ message }) => warnings.push(message));
      expect((await get()).status).toBe(200);
      expect((await get()).status).toBe(200);
      expectRefused(await get());
      expect(warnings.length).toBe(1);
      await app.close();
    }
  });

  it("takes any text for a key, and none of it reaches a header", async () => {
    await start({}, { key: (seen: { headers: Record<string, string> }) => `${seen.headers["x-key"]}\r\nX-Evil: 1` });
    for (const key of ["a", "__proto__", "constructor", "x".repeat(10_000), "\xff"]) {
      expect((await get(`X-Key: ${key}`)).status).toBe(200);
      expect((await get(`X-Key: ${key}`)).status).toBe(200);
      const refused = await get(`X-Key: ${key}`);
      expectRefused(refused);
      expect(header(refused, "x-evil")).toBeUndefined();
    }
  });

  it("has a name with quotes that stays one name in the headers", async () => {
    await start({}, { name: 'a"; b\\, "c' });
    const response = await get();
    expect(header(response, "ratelimit-policy")).toBe('"a\\"; b\\\\, \\"c";q=2;w=10000');
    await get();
    expect(JSON.parse((await get()).body)).toMatchObject({ "violated-policies": ['a"; b\\, "c'] });
  });
});

describe("requests that are refused", () => {
  it("take nothing from the limits that would have admitted them", async () => {
    const app = new App();
    app.enableRateLimit(RateLimitConfig.tokenBucket({ name: "wide", requests: 10, window: 10_000 }));
    app.enableRateLimit(RateLimitConfig.slidingWindow({ name: "narrow", requests: 1, window: 10_000 }));
    app.get("/", () => "x");
    for (let index = 0; index < 50; index++) await app.inject("/");
    expect(await app.rateLimit.peek("127.0.0.1", "wide")).toMatchObject({ remaining: 9 });
    await app.close();
  });

  it("use up a limit by identity only with a token that is good", async () => {
    const app = new App().enableJwt({ secret, required: false });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 2, window: 10_000, keyBy: "identity" }));
    app.get("/", () => "x");
    const statusOf = async (token?: string) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const { statusCode } = await app.inject({ url: "/", headers });
      return statusCode;
    };
    const victim = app.jwt.sign({ sub: "victim" });
    // Nobody else can spend what belongs to the victim with a forged token.
    for (let index = 0; index < 5; index++) expect(await statusOf(`${victim}x`)).toBe(401);
    expect([await statusOf(), await statusOf(), await statusOf()]).toEqual([200, 200, 429]);
    expect([await statusOf(victim), await statusOf(victim), await statusOf(victim)]).toEqual([200, 200, 429]);
    await app.close();
  });

  it("use up no address's quota with an identity that is named like an address", async () => {
    const app = new App().enableJwt({ secret, required: false });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 2, window: 10_000, keyBy: "identity" }));
    app.get("/", () => "x");
    const headers = { authorization: `Bearer ${app.jwt.sign({ sub: "ip:127.0.0.1" })}` };
    for (let index = 0; index < 3; index++) await app.inject({ url: "/", headers });
    const { statusCode } = await app.inject("/");
    await app.close();
    expect(statusCode).toBe(200);
  });
});

describe(`${ADDRESSES} clients with addresses of their own`, () => {
  /** What may come on top for each key, and for the process: 2 MB. */
  const MOST_GROWTH = KEYS * 100 + 2_000_000;

  setFlagsFromString("--expose-gc");
  const collectGarbage: unknown = runInNewContext("gc");
  const used = () => {
    if (typeof collectGarbage !== "function") throw new Error("this Node has no gc");
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };

  it.each(["tokenBucket", "slidingWindow"] as const)("leave %s within its bound", (algorithm) => {
    const app = new App();
    app.enableRateLimit(RateLimitConfig[algorithm]({ requests: 5, window: 3600, maxKeys: KEYS }));
    app.rateLimit.consume("192.0.2.1");
    const before = used();
    for (let index = 0; index < ADDRESSES; index++) {
      app.rateLimit.consume(`10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`);
    }
    for (let index = 0; index < ADDRESSES / 10; index++) {
      app.rateLimit.consume(`2001:db8:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}::1`);
    }
    expect(used() - before).toBeLessThan(MOST_GROWTH);
    // And the limit is still one.
    const statuses = Array.from({ length: 6 }, () => app.rateLimit.consume("198.51.100.1"));
    expect(statuses.map((state) => "isAllowed" in state && state.isAllowed)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it("leave the whole way of a request within the same bound", async () => {
    const app = new App({ trustProxy: "loopback" });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 5, window: 3600, maxKeys: KEYS }));
    app.enableJwt({ secret });
    app.enableSession({ secret });
    app.get("/", () => "never");
    const flood = async (from: number, to: number) => {
      for (let index = from; index < to; index++) {
        const address = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
        await app.inject({ url: "/", headers: { "x-forwarded-for": address, authorization: `Bearer ${index}.x.y` } });
        // Requests without a socket let go of their memory in the next turn of the loop.
        if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await flood(0, 500);
    const before = used();
    await flood(500, 2000);
    expect(used() - before).toBeLessThan(MOST_GROWTH);
    await app.close();
  });
});
