import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { EventHub, type SecurityEvents } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import { CsrfConfig } from "./config.js";
import { CsrfProtection } from "./step.js";

interface Vectors {
  readonly requests: readonly {
    readonly group: string;
    readonly name: string;
    readonly method: string;
    readonly url: string;
    readonly secFetchSite: string;
    readonly origin: string;
    readonly status: number;
    readonly trusted?: readonly string[];
    readonly bypass?: readonly string[];
  }[];
  readonly trustedOriginConfig: readonly { readonly origin: string; readonly wantErr: boolean }[];
}

const folder = process.env.CELLO_VECTORS;
if (folder === undefined) console.info("skipped: the CSRF vectors, because CELLO_VECTORS names no folder");
const vectors: Vectors =
  folder === undefined
    ? { requests: [], trustedOriginConfig: [] }
    : JSON.parse(readFileSync(join(folder, "go-csrf", "csrf.json"), "utf8"));

function view(method: string, host: string | undefined, headers: Record<string, string | undefined>): RequestView {
  return {
    method,
    request: { method, url: "/", headers, clientIp: "192.0.2.1" },
    requestId: "request-1",
    rawPath: "/",
    peerAddress: "192.0.2.1",
    clientIp: "192.0.2.1",
    isSecure: true,
    host,
    header: (name) => headers[name],
    headerCount: (name) => (headers[name] === undefined ? 0 : 1),
  };
}

function protection(trustedOrigins: readonly string[] = []) {
  const events: SecurityEvents["csrf.rejected"][] = [];
  const hub = new EventHub();
  hub.on("csrf.rejected", (event) => events.push(event));
  const step = new CsrfProtection(new CsrfConfig({ trustedOrigins }), hub).step("always", () => true, undefined);
  return { step, csrf: { allows: (of: RequestView) => step({ view: of }) === undefined }, events };
}

describe.skipIf(folder === undefined)("the cases of Go's CrossOriginProtection", () => {
  for (const row of vectors.requests) {
    // Which paths are exempt is the router's matter here (the route option csrf: false).
    const isRouting = row.bypass !== undefined && row.status === 200;
    it.skipIf(isRouting)(`${row.group}: ${row.name}`, () => {
      const { csrf, events } = protection(row.trusted);
      const headers = { "sec-fetch-site": row.secFetchSite, origin: row.origin };
      expect(csrf.allows(view(row.method, new URL(row.url).host, headers))).toBe(row.status === 200);
      expect(events.length).toBe(row.status === 200 ? 0 : 1);
    });
  }

  for (const { origin, wantErr } of vectors.trustedOriginConfig) {
    it(`${wantErr ? "refuses" : "takes"} ${JSON.stringify(origin)} as a trusted origin`, () => {
      const make = () => new CsrfConfig({ trustedOrigins: [origin] });
      if (wantErr) expect(make).toThrow(ConfigError);
      else expect(make().trustedOrigins).toEqual([origin]);
    });
  }
});

describe("CsrfProtection", () => {
  it("lets unsafe requests without both headers pass, which no browser sends", () => {
    expect(protection().csrf.allows(view("DELETE", "app.example", {}))).toBe(true);
  });

  it("compares the host of the origin with its port and without regard to case", () => {
    const { csrf } = protection();
    expect(csrf.allows(view("POST", "App.example:8080", { origin: "http://app.example:8080" }))).toBe(true);
    expect(csrf.allows(view("POST", "app.example:8080", { origin: "http://app.example" }))).toBe(false);
    expect(csrf.allows(view("POST", "app.example", { origin: "http://app.example.evil.example" }))).toBe(false);
    expect(csrf.allows(view("POST", undefined, { origin: "http://app.example" }))).toBe(false);
    expect(csrf.allows(view("POST", "", { origin: "http://" }))).toBe(false);
  });

  it("takes an origin and a host for the same when one of them names the port that the scheme has anyway", () => {
    const { csrf } = protection();
    const allows = (origin: string, host: string) => csrf.allows(view("POST", host, { origin }));
    expect(allows("https://app.example", "app.example:443")).toBe(true);
    expect(allows("https://app.example:443", "app.example")).toBe(true);
    expect(allows("http://app.example", "app.example:80")).toBe(true);
    expect(allows("https://APP.example", "app.EXAMPLE:443")).toBe(true);
    expect(allows("https://[2001:DB8:0::1]", "[2001:db8::1]:443")).toBe(true);
    expect(allows("https://xn--bcher-kva.example", "XN--BCHER-KVA.example:443")).toBe(true);
    expect(allows("https://app.example.", "app.example.:443")).toBe(true);
  });

  it("takes nothing else for the same", () => {
    const { csrf } = protection();
    const allows = (origin: string, host: string) => csrf.allows(view("POST", host, { origin }));
    expect(allows("https://app.example", "app.example:80")).toBe(false);
    expect(allows("http://app.example", "app.example:443")).toBe(false);
    expect(allows("https://app.example", "app.example:8443")).toBe(false);
    // For a browser these are two sites, with cookies of their own.
    expect(allows("https://app.example.", "app.example")).toBe(false);
    expect(allows("https://evil.example", "app.example@evil.example")).toBe(false);
    expect(allows("https://evil.example", "evil.example/app.example")).toBe(false);
    expect(allows("https://app%2eexample", "app.example")).toBe(false);
    expect(allows("null", "null")).toBe(false);
    expect(allows("://", "app.example")).toBe(false);
  });

  it("takes the port that a proxy names beside the host", () => {
    const { csrf } = protection();
    const behind = (port: string, origin: string) =>
      csrf.allows({ ...view("POST", "app.example", { origin }), forwardedPort: port });
    expect(behind("8443", "https://app.example:8443")).toBe(true);
    expect(behind("443", "https://app.example")).toBe(true);
    // The inner of two proxies was asked on another port than the client asked on.
    expect(behind("80", "https://app.example")).toBe(true);
    expect(behind("8443", "https://app.example:9443")).toBe(false);
    expect(behind("8443@x", "https://app.example:8443")).toBe(false);
  });

  it("trusts the names below a name, of any depth, and not the name itself", () => {
    const { csrf } = protection(["https://*.example.com", "https://*.example.org:8443", "http://*.localhost:3000"]);
    const allows = (origin: string) => csrf.allows(view("POST", "app.example", { origin }));
    expect(allows("https://a.example.com")).toBe(true);
    expect(allows("https://a.b.example.com")).toBe(true);
    expect(allows("https://A.example.com:443")).toBe(true);
    expect(allows("https://a.example.org:8443")).toBe(true);
    expect(allows("http://app.localhost:3000")).toBe(true);
    for (const origin of [
      "https://example.com",
      "https://.example.com",
      "https://a..example.com",
      "http://a.example.com",
      "https://a.example.com:8443",
      "https://a.example.org",
      "https://a.example.com.evil.example",
      "https://evilexample.com",
      "https://a.example.com.",
      "https://evil.example/.example.com",
      "https://evil.example?.example.com",
      "https://evil.example#.example.com",
      "https://evil.example\\.example.com",
      "https://x@a.example.com",
      "https://*.example.com",
      "null",
    ]) {
      expect(allows(origin), origin).toBe(false);
    }
  });

  it("refuses a handshake for another protocol from another site, though its method is safe", () => {
    const { csrf, events } = protection(["https://trusted.example"]);
    const allows = (headers: Record<string, string>) =>
      csrf.allows(view("GET", "app.example", { upgrade: "websocket", ...headers }));
    expect(allows({ origin: "https://evil.example" })).toBe(false);
    expect(allows({ origin: "null" })).toBe(false);
    expect(allows({ origin: "https://app.example", "sec-fetch-site": "cross-site" })).toBe(false);
    expect(events.length).toBe(3);
    expect(allows({ origin: "https://app.example" })).toBe(true);
    expect(allows({ origin: "https://trusted.example" })).toBe(true);
    expect(allows({})).toBe(true);
  });

  it("believes Sec-Fetch-Site more than a matching origin", () => {
    const headers = { origin: "https://app.example", "sec-fetch-site": "cross-site" };
    expect(protection().csrf.allows(view("POST", "app.example", headers))).toBe(false);
  });

  it("refuses values of Sec-Fetch-Site that it does not know, and a header that came twice", () => {
    const { csrf } = protection();
    for (const site of ["SAME-ORIGIN", "same-origin, cross-site", "x"]) {
      expect(csrf.allows(view("POST", "app.example", { "sec-fetch-site": site }))).toBe(false);
    }
  });

  it("refuses unknown methods as unsafe", () => {
    const { csrf } = protection();
    for (const method of ["get", "PROPFIND", "TRACE", "CONNECT"]) {
      expect(csrf.allows(view(method, "app.example", { "sec-fetch-site": "cross-site" }))).toBe(false);
    }
  });

  it("tells the event where the request came from", () => {
    const { csrf, events } = protection();
    csrf.allows(view("POST", "app.example", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }));
    expect(events).toEqual([
      {
        requestId: "request-1",
        clientIp: "192.0.2.1",
        method: "POST",
        path: "/",
        origin: "https://evil.example",
        secFetchSite: "cross-site",
      },
    ]);
  });

  it("has a refusal that names no cause", () => {
    const headers = { "sec-fetch-site": "cross-site" };
    const refusal = protection().step({ view: view("POST", "app.example", headers) });
    expect(refusal?.status).toBe(403);
    expect(JSON.parse(refusal?.body ?? "")).toMatchObject({ status: 403, title: "Forbidden" });
  });
});

describe("CsrfConfig", () => {
  it("refuses unknown fields, wrong types and what no browser sends", () => {
    expect(() => Reflect.construct(CsrfConfig, [{ trustedOrigin: [] }])).toThrow(/did you mean "trustedOrigins"/);
    const wrong = ["https://user@example.com", "https://example.com\n", "*", "https://*.co.uk", "ftp://example.com"];
    for (const origin of wrong) {
      expect(() => new CsrfConfig({ trustedOrigins: [origin] })).toThrow(ConfigError);
    }
  });

  it("brings origins into the spelling of browsers", () => {
    const given = ["https://EXAMPLE.com", "https://example.org:443", "https://*.Bücher.example"];
    expect(new CsrfConfig({ trustedOrigins: given }).trustedOrigins).toEqual([
      "https://example.com",
      "https://example.org",
      "https://*.xn--bcher-kva.example",
    ]);
  });

  it("is frozen and trusts nobody unless told", () => {
    const config = new CsrfConfig();
    expect(config.trustedOrigins).toEqual([]);
    expect(Object.isFrozen(config) && Object.isFrozen(config.trustedOrigins)).toBe(true);
  });
});
