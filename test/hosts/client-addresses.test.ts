import { CSP, RateLimitConfig, Security, type SecurityOptions } from "cello";
import { secure } from "cello/fetch";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";
import { hosts, type RunningHost } from "./hosts.js";

const limited = (more: Partial<SecurityOptions> = {}): SecurityOptions => ({
  session: { secret: "a secret of more than thirty-two bytes, for tests" },
  rateLimit: RateLimitConfig.tokenBucket({ requests: 100, window: 60 }),
  ...more,
});

function heard(security: Security): { readonly code: string; readonly message: string }[] {
  const warnings: { code: string; message: string }[] = [];
  security.on("config.warning", (warning) => warnings.push(warning));
  return warnings;
}

describe.each(Object.entries(hosts))("on %s", (_name, start) => {
  let host: RunningHost;
  afterEach(() => host.close());
  const ask = (headers: Record<string, string> = {}) => fetch(`${host.url}/own`, { headers });

  it.each([
    ["X-Forwarded-For", "203.0.113.9"],
    ["Forwarded", 'for="[2001:db8::1]"'],
    ["X-Real-IP", "203.0.113.9"],
    ["CF-Connecting-IP", "203.0.113.9"],
  ])("says once that %s comes and nobody is trusted to send it", async (header, value) => {
    host = await start(limited());
    const warnings = heard(host.security);
    expect((await ask()).status).toBe(200);
    expect(warnings).toEqual([]);
    for (let sent = 0; sent < 3; sent++) expect((await ask({ [header]: value })).status).toBe(200);
    expect(warnings.map(({ code }) => code)).toEqual(["CELLO_UNTRUSTED_PROXY"]);
    expect(warnings[0]?.message).toMatch(
      new RegExp(`127\\.0\\.0\\.1 carries ${header}.*trustProxy.*Any client can send`, "i"),
    );
    expect(warnings[0]?.message).not.toContain(value);
  });

  it("says nothing when the proxy is known, when there is none by the application's word, or when no limit asks", async () => {
    const quiet: readonly SecurityOptions[] = [
      limited({ trustProxy: "loopback" }),
      limited({ trustProxy: ["10.0.0.0/8"] }),
      limited({ trustProxy: false }),
      limited({ rateLimit: [], securityHeaders: { csp: new CSP().defaultSrc("'self'") } }),
      limited({ rateLimit: RateLimitConfig.tokenBucket({ requests: 100, window: 60, key: () => "all" }) }),
    ];
    for (const options of quiet) {
      host = await start(options);
      const warnings = heard(host.security);
      for (let sent = 0; sent < 3; sent++) await ask({ "x-forwarded-for": "203.0.113.9" });
      expect(warnings).toEqual([]);
      await host.close();
    }
    host = await start(limited());
  });

  it("says once that all proxies are others than those that are trusted, unless one of these was met", async () => {
    host = await start(limited({ trustProxy: ["10.0.0.0/8"] }));
    const warnings = heard(host.security);
    for (let sent = 0; sent < 31; sent++) await ask({ "x-forwarded-for": "203.0.113.9" });
    await ask();
    expect(warnings).toEqual([]);
    for (let sent = 0; sent < 3; sent++) await ask({ "x-forwarded-for": "203.0.113.9" });
    expect(warnings.map(({ code }) => code)).toEqual(["CELLO_UNTRUSTED_PROXY"]);
    expect(warnings[0]?.message).toMatch(/no request came from an address in trustProxy.*127\.0\.0\.1.*name it/);
  });

  it("says once that a trusted proxy names clients where nobody reads it", async () => {
    host = await start(limited({ trustProxy: "loopback" }));
    const warnings = heard(host.security);
    await ask({ forwarded: "for=203.0.113.9", "x-forwarded-for": "203.0.113.9" });
    expect(warnings).toEqual([]);
    for (let sent = 0; sent < 3; sent++) await ask({ forwarded: "for=203.0.113.9" });
    expect(warnings.map(({ code }) => code)).toEqual(["CELLO_FORWARDED_NOT_READ"]);
  });

  it("never refuses health checks for an adaptive limit, under no other spelling than the router's", async () => {
    const rateLimit = RateLimitConfig.adaptive({ baseRequests: 10, minRequests: 10, window: 60 });
    host = await start(limited({ rateLimit, session: undefined }));
    const statuses = async (path: string, times: number) => {
      const seen = new Set<number>();
      for (let sent = 0; sent < times; sent++) seen.add((await fetch(`${host.url}${path}`)).status);
      return [...seen];
    };
    expect(await statuses("/health", 15)).toEqual([404]);
    // They took nothing, and go on when the quota is used up.
    expect(await statuses("/own", 10)).toEqual([200]);
    expect(await statuses("/own", 3)).toEqual([429]);
    for (const path of ["/health", "/healthz", "/livez", "/readyz?verbose=1"])
      expect(await statuses(path, 3)).toEqual([404]);
    for (const path of [
      "/health/",
      "/HEALTH",
      "//health",
      "/health/x",
      "/health;a",
      "/x?/health",
      "/health%2f",
      "/health%00",
    ]) {
      expect((await statuses(path, 2)).filter((status) => status !== 400)).toEqual([429]);
    }
  });
});

describe("a fetch host that tells no address", () => {
  const rateLimit = RateLimitConfig.tokenBucket({ requests: 100, window: 60 });
  const request = () => new Request("http://localhost/");

  it("is told about, once", async () => {
    const security = new Security({ rateLimit });
    const warnings = heard(security);
    const handler = secure(security, () => new Response("ok"));
    for (let sent = 0; sent < 3; sent++) expect((await handler(request())).status).toBe(200);
    expect(warnings.map(({ code }) => code)).toEqual(["CELLO_NO_CLIENT_ADDRESS"]);
    expect(warnings[0]?.message).toMatch(/share one quota.*peerAddress/);
  });

  it("is told about under Hono", async () => {
    const security = new Security({ rateLimit });
    const warnings = heard(security);
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(celloHono(security));
    app.get("/", (context) => context.text("ok"));
    for (let sent = 0; sent < 3; sent++) expect((await app.request("/")).status).toBe(200);
    expect(warnings.map(({ code }) => code)).toEqual(["CELLO_NO_CLIENT_ADDRESS"]);
  });

  it("is not when it tells an address after all, or the connection is gone", async () => {
    const security = new Security({ rateLimit });
    const warnings = heard(security);
    const own = secure(security, () => new Response("ok"), { peerAddress: () => "203.0.113.9" });
    const deno = secure(security, (_request, _secured, _info: object) => new Response("ok"));
    await own(request());
    await deno(request(), { remoteAddr: { hostname: "203.0.113.9" } });
    await deno(request(), { incoming: { socket: { remoteAddress: undefined, destroyed: true } } });
    expect(warnings).toEqual([]);
  });
});
