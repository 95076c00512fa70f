import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { ConfigError } from "../core/errors.js";
import type { RequestView } from "../core/request-view.js";
import { CorsConfig, type CorsOptions } from "./config.js";
import { Cors } from "./cors.js";

const SPA = "https://spa.example";

function view(headers: Record<string, string | undefined>): RequestView {
  return {
    method: "OPTIONS",
    request: { method: "OPTIONS", url: "/", headers, clientIp: "192.0.2.1" },
    requestId: "request-1",
    rawPath: "/",
    peerAddress: "192.0.2.1",
    clientIp: "192.0.2.1",
    isSecure: true,
    host: "app.example",
    header: (name) => headers[name],
    headerCount: (name) => (headers[name] === undefined ? 0 : 1),
  };
}

/** What a page wants to send. */
interface Wish {
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly credentials?: boolean;
}

/** The names of a list in a header field. */
function list(lines: ReadonlyMap<string, string>, name: string): readonly string[] {
  return (lines.get(name) ?? "").split(",").flatMap((entry) => entry.trim() || []);
}

/** What a browser does with the answer to a preflight (Fetch, "CORS-preflight fetch", steps 7.3 to 7.7, and "CORS check"). */
function browserAllows(options: CorsOptions, wish: Wish, origin = SPA): boolean {
  const { method = "GET", headers = [], credentials = false } = wish;
  // Lower case, sorted by bytes, without spaces.
  const asked =
    headers.length === 0
      ? undefined
      : headers
          .map((name) => name.toLowerCase())
          .sort()
          .join(",");
  const request = { origin, "access-control-request-method": method, "access-control-request-headers": asked };
  const answer = new Cors(new CorsConfig(options)).preflight(view(request));
  expect(answer.status).toBe(204);
  const lines = new Map<string, string>();
  for (let index = 0; index < answer.headers.length; index += 2) {
    const name = (answer.headers[index] ?? "").toLowerCase();
    expect(lines.has(name)).toBe(false);
    lines.set(name, answer.headers[index + 1] ?? "");
  }
  const allowed = lines.get("access-control-allow-origin");
  const isShared = allowed === origin || (allowed === "*" && !credentials);
  if (!isShared || (credentials && lines.get("access-control-allow-credentials") !== "true")) return false;
  const methods = list(lines, "access-control-allow-methods");
  const isSafelisted = ["GET", "HEAD", "POST"].includes(method);
  if (!methods.includes(method) && !isSafelisted && (credentials || !methods.includes("*"))) return false;
  const names = list(lines, "access-control-allow-headers").map((name) => name.toLowerCase());
  return headers.every((header) => {
    const name = header.toLowerCase();
    return names.includes(name) || (name !== "authorization" && !credentials && names.includes("*"));
  });
}

describe("the answer to a preflight, to a browser", () => {
  const only = { origins: [SPA] };
  it.each([
    ["a safelisted method", only, { method: "POST" }, true],
    ["a safelisted method that is not listed", { ...only, methods: ["PUT"] }, { method: "HEAD" }, true],
    ["a listed method", only, { method: "PATCH" }, true],
    // Browsers make PUT of put, and leave patch as it is.
    ["a method in another case", only, { method: "patch" }, false],
    ["a method that is not listed", { ...only, methods: ["PUT"] }, { method: "DELETE" }, false],
    ["a method of the application's own", { ...only, methods: ["REPORT"] }, { method: "REPORT" }, true],
    ["any method", { ...only, methods: ["*"] }, { method: "REPORT" }, true],
    ["a header, where none is named", only, { headers: ["X-Mine"] }, true],
    ["several headers", only, { headers: ["X-Z", "Authorization", "Content-Type", "x-a"] }, true],
    ["a listed header in another case", { ...only, allowedHeaders: ["X-MINE"] }, { headers: ["x-mine"] }, true],
    ["a header that is not listed", { ...only, allowedHeaders: ["X-Mine"] }, { headers: ["X-Mine", "X-Other"] }, false],
    ["any header where none is allowed", { ...only, allowedHeaders: [] }, { headers: ["X-Mine"] }, false],
    ["any header", { ...only, allowedHeaders: ["*"] }, { headers: ["X-Mine"] }, true],
    [
      "Authorization, which a star does not mean",
      { ...only, allowedHeaders: ["*"] },
      { headers: ["Authorization"] },
      false,
    ],
    [
      "Authorization beside a star",
      { ...only, allowedHeaders: ["*", "Authorization"] },
      { headers: ["authorization", "x"] },
      true,
    ],
    ["credentials", { ...only, credentials: true }, { method: "PUT", headers: ["X-Mine"], credentials: true }, true],
    ["credentials that are not allowed", only, { credentials: true }, false],
    ["credentials from everybody", { origins: "*" }, { credentials: true }, false],
    ["everybody", { origins: "*" }, { method: "PUT", headers: ["Authorization"] }, true],
    ["another origin", { origins: ["https://other.example"] }, {}, false],
    ["a name below a name", { origins: ["https://*.example"] }, {}, false],
  ] satisfies readonly (readonly [string, CorsOptions, Wish, boolean])[])("%s", (_name, options, wish, expected) => {
    if (options.origins[0] === "https://*.example") return expect(() => new CorsConfig(options)).toThrow(ConfigError);
    expect(browserAllows(options, wish)).toBe(expected);
  });

  it("is for the origin alone that asks, whatever it looks like", () => {
    const options = { origins: ["https://spa.example", "https://*.example.com"], credentials: true };
    fc.assert(
      fc.property(
        fc.oneof(fc.webUrl(), fc.string(), fc.constantFrom("null", "https://spa.example.evil.example")),
        (origin) => {
          const isOurs = origin === SPA || /^https:\/\/([a-z0-9_-]+\.)+example\.com$/.test(origin);
          const lines = new Cors(new CorsConfig(options)).linesFor(origin);
          expect(lines.length > 0).toBe(isOurs);
        },
      ),
      runs(300),
    );
  });

  it("repeats no asked-for header that is none", () => {
    for (const asked of ["x, y\r\nz", "a b", "x,,y", "(x)", "x".repeat(5000), "ü"]) {
      const headers = { origin: SPA, "access-control-request-method": "PUT", "access-control-request-headers": asked };
      const answer = new Cors(new CorsConfig({ origins: [SPA] })).preflight(view(headers));
      expect(answer.headers).not.toContain("Access-Control-Allow-Headers");
    }
  });

  it("lets public pages into a private network where that is allowed, and they ask", () => {
    const ask = (privateNetwork: boolean, asked: string | undefined) =>
      new Cors(new CorsConfig({ origins: [SPA], privateNetwork })).preflight(
        view({
          origin: SPA,
          "access-control-request-method": "GET",
          "access-control-request-private-network": asked,
        }),
      ).headers;
    expect(ask(true, "true")).toContain("Access-Control-Allow-Private-Network");
    expect(ask(true, undefined)).not.toContain("Access-Control-Allow-Private-Network");
    expect(ask(false, "true")).not.toContain("Access-Control-Allow-Private-Network");
  });
});

describe("CorsConfig", () => {
  it.each<[string, unknown]>([
    ["no options", undefined],
    ["no origins", {}],
    ["an empty list", { origins: [] }],
    ["a star with credentials", { origins: "*", credentials: true }],
    ["a star beside others", { origins: ["*", SPA] }],
    ["an origin with a path", { origins: [`${SPA}/app`] }],
    ["an origin with a slash", { origins: [`${SPA}/`] }],
    ["a pattern for a public suffix", { origins: ["https://*.github.io"] }],
    ["null", { origins: ["null"] }],
    ["an origin with a user", { origins: ["https://me@spa.example"] }],
    ["a scheme that no page has", { origins: ["ftp://spa.example"] }],
    ["a method in lower case", { origins: SPA, methods: ["patch"] }],
    ["a forbidden method", { origins: SPA, methods: ["TRACE"] }],
    ["a list in one method", { origins: SPA, methods: ["GET, PUT"] }],
    ["a star for methods with credentials", { origins: SPA, credentials: true, methods: ["*"] }],
    ["a star for headers with credentials", { origins: SPA, credentials: true, allowedHeaders: ["*"] }],
    ["a star for answer headers with credentials", { origins: SPA, credentials: true, exposedHeaders: ["*"] }],
    ["a header that is none", { origins: SPA, allowedHeaders: ["X Mine"] }],
    ["a negative maxAge", { origins: SPA, maxAge: -1 }],
    ["a wrong type", { origins: SPA, credentials: "yes" }],
    ["an unknown field", { origin: SPA }],
  ])("refuses %s", (_name, options) => {
    expect(() => Reflect.construct(CorsConfig, [options])).toThrow(ConfigError);
  });

  it("adds what pages may read to what they need of limits, each once", () => {
    const cors = new Cors(new CorsConfig({ origins: SPA, exposedHeaders: ["ETag", "retry-after"] }));
    expect(cors.linesFor(SPA).at(-1)).toBe("RateLimit, RateLimit-Policy, retry-after, ETag");
  });
});
