import { App, MemorySessionStore, type SecurityOptions } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { header, request } from "../hostile/wire.js";
import { hosts, type RunningHost } from "./hosts.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="];

/** `request` sends `Host: app.example` and closes the connection. */
describe.each(Object.entries(hosts))("requests of other sites on %s", (_name, start) => {
  let host: RunningHost;
  const post = async (...headers: string[]) =>
    (await request(host.url, "POST /login", ["Content-Length: 0", ...headers])).status;
  const signIn = async () => {
    const response = await request(host.url, "POST /login", ["Content-Length: 0"]);
    return `Cookie: ${(header(response, "set-cookie") ?? "").split(";")[0]}`;
  };
  const everything: SecurityOptions = { session: { secret } };

  afterEach(() => host.close());

  it("are told from its own by host and port, whichever of them names the scheme's port", async () => {
    host = await start({ ...everything, trustProxy: "loopback" });
    const cookie = await signIn();
    expect(await post(cookie, "Origin: https://app.example")).toBe(200);
    expect(await post(cookie, "Origin: https://app.example:443")).toBe(200);
    const asked = (name: string) => `X-Forwarded-Host: ${name}`;
    expect(await post(cookie, "Origin: https://app.example", asked("app.example:443"))).toBe(200);
    expect(await post(cookie, "Origin: http://app.example", asked("app.example:80"))).toBe(200);
    expect(await post(cookie, "Origin: https://app.example", asked("App.Example:443"))).toBe(200);
    expect(await post(cookie, "Origin: https://[2001:db8::1]", asked("[2001:DB8::1]:443"))).toBe(200);
    expect(await post(cookie, "Origin: https://app.example:8443", "X-Forwarded-Port: 8443")).toBe(200);
    expect(await post(cookie, "Origin: http://app.example", asked("app.example:443"))).toBe(403);
    expect(await post(cookie, "Origin: https://app.example:8443", "X-Forwarded-Port: 443")).toBe(403);
    expect(await post(cookie, "Origin: https://evil.example")).toBe(403);
  });

  it("are not let in by what a client says of proxies", async () => {
    host = await start(everything);
    const cookie = await signIn();
    expect(await post(cookie, "Origin: https://evil.example", "X-Forwarded-Host: evil.example")).toBe(403);
    expect(await post(cookie, "Origin: https://app.example:8443", "X-Forwarded-Port: 8443")).toBe(403);
  });

  it("pass from the names below a trusted name", async () => {
    host = await start({ ...everything, csrf: { trustedOrigins: ["https://*.example.com"] } });
    const cookie = await signIn();
    expect(await post(cookie, "Origin: https://a.example.com", "Sec-Fetch-Site: cross-site")).toBe(200);
    expect(await post(cookie, "Origin: https://a.b.example.com")).toBe(200);
    expect(await post(cookie, "Origin: https://example.com")).toBe(403);
    expect(await post(cookie, "Origin: https://a.example.com.evil.example")).toBe(403);
  });

  it.each([
    ["sealed", undefined],
    ["stored", new MemorySessionStore()],
  ])("open no WebSocket with a user's %s session", async (_kind, store) => {
    host = await start({ session: { secret, store } });
    const cookie = await signIn();
    const open = async (...headers: string[]) =>
      (await request(host.url, "GET /own", [...upgrade, ...headers], "", { quietMs: 500 })).status;
    expect(await open(cookie, "Origin: https://evil.example")).toBe(403);
    expect(await open(cookie, "Origin: null")).toBe(403);
    expect(await open(cookie, "Origin: https://app.example", "Sec-Fetch-Site: cross-site")).toBe(403);
    expect(await open(cookie, "Origin: https://app.example")).toBe(200);
    expect(await open(cookie)).toBe(200);
    // Without a user's cookie there is nothing to forge, unless all requests are to be checked.
    expect(await open("Origin: https://evil.example")).toBe(200);
  });

  it("open no WebSocket at all where all requests are checked", async () => {
    host = await start({ ...everything, csrf: { trustedOrigins: ["https://trusted.example"] } });
    const open = async (...headers: string[]) =>
      (await request(host.url, "GET /own", [...upgrade, ...headers], "", { quietMs: 500 })).status;
    expect(await open("Origin: https://evil.example")).toBe(403);
    expect(await open("Origin: https://trusted.example")).toBe(200);
    expect(await open()).toBe(200);
  });
});

it("refuses requests of other sites on a route that asks for it, though nothing else in the application does", async () => {
  const app = new App();
  app.post("/checked", { csrf: true }, () => "done").post("/open", () => "done");
  const post = async (url: string) =>
    (await app.inject({ method: "POST", url, headers: { "sec-fetch-site": "cross-site" } })).statusCode;
  expect(await post("/checked")).toBe(403);
  expect(await post("/open")).toBe(200);
});
