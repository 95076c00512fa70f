import { Jwt, RateLimitConfig, type SecurityOptions } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { header, request, type WireResponse } from "../hostile/wire.js";
import { hosts, type RunningHost } from "../hosts/hosts.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const SPA = "https://spa.example";
const EVIL = "https://evil.example";
const EXPOSED = "RateLimit, RateLimit-Policy, Retry-After";

const everything = (): SecurityOptions => ({
  jwt: { secret, exclude: ["/login", "/own"] },
  session: { secret },
  securityHeaders: {},
  cors: { origins: [SPA], credentials: true },
});

/** The fields of CORS, and how often `Vary` stands there. */
function fieldsOf(response: WireResponse): Readonly<Record<string, string>> {
  const shown = response.headers.filter(([name]) => name.startsWith("access-control-") || name === "vary");
  expect(new Set(shown.map(([name]) => name)).size).toBe(shown.length);
  return Object.fromEntries(shown);
}

const answered = {
  "access-control-allow-origin": SPA,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": EXPOSED,
  vary: "Origin",
};

const preflight = (origin = SPA, method = "PUT", ...more: string[]) => [
  `Origin: ${origin}`,
  `Access-Control-Request-Method: ${method}`,
  ...more,
];

describe.each(Object.entries(hosts))("CORS on %s", (_name, start) => {
  let host: RunningHost;
  const ask = (line: string, ...headers: string[]) => request(host.url, line, headers);
  const bearer = () => `Authorization: Bearer ${jwt.sign({ sub: "u1" })}`;

  afterEach(() => host.close());

  it("answers a preflight before the token, whatever stands behind", async () => {
    host = await start(everything());
    for (const path of ["/me", "/login", "/nowhere"]) {
      const response = await ask(`OPTIONS ${path}`, ...preflight());
      expect(response.status).toBe(204);
      expect(response.body).toBe("");
      expect(fieldsOf(response)).toEqual({
        "access-control-allow-origin": SPA,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
        "access-control-max-age": "600",
        vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      });
      expect(header(response, "x-frame-options")).toBe("DENY");
      expect(header(response, "content-type")).toBeUndefined();
      expect(header(response, "set-cookie")).toBeUndefined();
    }
  });

  it("tells other origins nothing, and caches that it depends on the origin", async () => {
    host = await start(everything());
    const asked = await ask("OPTIONS /me", ...preflight(EVIL));
    expect(asked.status).toBe(204);
    expect(fieldsOf(asked)).toEqual({
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
    expect(fieldsOf(await ask("GET /me", bearer(), `Origin: ${EVIL}`))).toEqual({ vary: "Origin" });
    expect(fieldsOf(await ask("GET /me", bearer(), "Origin: null"))).toEqual({ vary: "Origin" });
    expect(fieldsOf(await ask("GET /me", bearer()))).toEqual({ vary: "Origin" });
  });

  it("puts its fields on answers, refusals, errors and unknown paths", async () => {
    host = await start(everything());
    const origin = `Origin: ${SPA}`;
    for (const [line, headers, status] of [
      ["GET /me", [bearer()], 200],
      ["GET /own", [], 200],
      ["GET /me", [], 401],
      ["GET /me", ["Authorization: Bearer x.y.z"], 401],
      ["GET /nowhere", [], 401],
      ["GET /nowhere", [bearer()], 404],
      ["GET /fails", [bearer()], 500],
      ["GET /unchanged", [bearer()], 304],
      ["POST /login", ["Content-Length: 0"], 200],
      ["HEAD /own", [], 200],
    ] as const) {
      const response = await ask(line, origin, ...headers);
      expect([line, response.status]).toEqual([line, status]);
      expect([line, fieldsOf(response)]).toEqual([line, answered]);
    }
  });

  it("puts them on a request that a limit refuses, so that a page can read when to come again", async () => {
    host = await start({ ...everything(), rateLimit: RateLimitConfig.tokenBucket({ requests: 1, window: 60 }) });
    await ask("GET /own", `Origin: ${SPA}`);
    const refused = await ask("GET /own", `Origin: ${SPA}`);
    expect(refused.status).toBe(429);
    expect(header(refused, "retry-after")).toBe("60");
    expect(fieldsOf(refused)).toEqual(answered);
  });

  it("lets pages read the older fields of limits where these are sent", async () => {
    const rateLimit = RateLimitConfig.tokenBucket({ requests: 1, window: 60, headers: "both" });
    host = await start({ ...everything(), rateLimit });
    const { "access-control-expose-headers": exposed } = fieldsOf(await ask("GET /own", `Origin: ${SPA}`));
    expect(exposed).toBe(`${EXPOSED}, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset`);
  });

  it("takes nothing from a client's quota for preflights, and has a bound of its own", async () => {
    const nowMs = 1_000_000;
    host = await start({
      ...everything(),
      clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
      rateLimit: RateLimitConfig.tokenBucket({ requests: 2, window: 60 }),
      cors: { origins: [SPA], credentials: true, preflightsPerMinute: 5 },
    });
    for (let index = 0; index < 5; index++) expect((await ask("OPTIONS /own", ...preflight())).status).toBe(204);
    const refused = await ask("OPTIONS /own", ...preflight());
    expect(refused.status).toBe(429);
    expect(header(refused, "retry-after")).toBe("12");
    expect(JSON.parse(refused.body)).toMatchObject({ "violated-policies": ["preflight"] });
    expect(fieldsOf(refused)).toEqual(answered);
    const answer = await ask("GET /own", `Origin: ${SPA}`);
    expect([answer.status, header(answer, "ratelimit")]).toEqual([200, '"default";r=1;t=30']);
  });

  it("takes an OPTIONS request that is no preflight for a request like others", async () => {
    host = await start(everything());
    expect((await ask("OPTIONS /me", `Origin: ${SPA}`)).status).toBe(401);
    expect((await ask("OPTIONS /me", "Access-Control-Request-Method: PUT")).status).toBe(401);
    expect((await ask("GET /me", ...preflight())).status).toBe(401);
  });

  it("adds to the handler's own Vary, each name once, and respects a star", async () => {
    host = await start(everything());
    const vary = async (own: string) => {
      const response = await ask(`GET /vary?${encodeURIComponent(own)}`, bearer(), `Origin: ${SPA}`);
      return fieldsOf(response).vary;
    };
    expect(await vary("Accept-Encoding")).toBe("Accept-Encoding, Origin");
    expect(await vary("origin, Accept")).toBe("origin, Accept");
    expect(await vary("*")).toBe("*");
  });

  it("shares its origins with the check for cross-site requests", async () => {
    host = await start(everything());
    const signedIn = await ask("POST /login", "Content-Length: 0");
    const cookie = `Cookie: ${(header(signedIn, "set-cookie") ?? "").split(";")[0]}`;
    const post = async (origin: string) =>
      (await ask("POST /login", "Content-Length: 0", cookie, `Origin: ${origin}`, "Sec-Fetch-Site: cross-site")).status;
    expect(await post(SPA)).toBe(200);
    expect(await post(EVIL)).toBe(403);
  });

  it("does not share them for a user's cookies where it allows no credentials", async () => {
    host = await start({ ...everything(), csrf: {}, cors: { origins: [SPA] } });
    const signedIn = await ask("POST /login", "Content-Length: 0");
    const cookie = `Cookie: ${(header(signedIn, "set-cookie") ?? "").split(";")[0]}`;
    const post = async (...headers: string[]) =>
      (await ask("POST /login", "Content-Length: 0", `Origin: ${SPA}`, ...headers)).status;
    expect(await post()).toBe(200);
    expect(await post(cookie)).toBe(403);
  });

  it("allows everybody with a star, who then sends no credentials", async () => {
    host = await start({ ...everything(), cors: { origins: "*" } });
    const expected = {
      "access-control-allow-origin": "*",
      "access-control-expose-headers": EXPOSED,
      vary: "Origin",
    };
    for (const headers of [[`Origin: ${EVIL}`], ["Origin: null"], []]) {
      expect(fieldsOf(await ask("GET /own", ...headers))).toEqual(expected);
    }
    expect(fieldsOf(await ask("OPTIONS /own", ...preflight(EVIL)))["access-control-allow-origin"]).toBe("*");
  });
});
