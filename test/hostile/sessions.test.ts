import { App, CSP, MemorySessionStore, type SessionRejection, type SessionStore } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { RemoteStore } from "./stores.js";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, fingerprint, header, request } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const kinds: readonly (readonly [string, () => SessionStore | undefined])[] = [
  ["sealed in the cookie", () => undefined],
  ["in memory", () => new MemorySessionStore()],
  ["in a remote store", () => new RemoteStore()],
];

describe.each(kinds)("a session %s", (_name, createStore) => {
  let app: App;
  let url: string;
  const rejections: SessionRejection[] = [];

  const start = async (options: object = {}) => {
    rejections.length = 0;
    app = new App();
    app.enableSession({ secret, store: createStore(), ...options });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.on("session.rejected", ({ reason }) => rejections.push(reason));
    app.post("/login", async (request) => {
      await request.session.regenerate();
      request.session.set("user", "u1");
      return { ok: true };
    });
    app.get("/me", (request) => ({ user: request.session.get("user") ?? null }));
    app.get("/id", (request) => ({ isNew: request.session.isNew }));
    app.post("/logout", async (request) => {
      await request.session.destroy();
      return { ok: true };
    });
    app.post("/grow/:size", (request) => {
      const { params } = request;
      const size = typeof params === "object" && params !== null && "size" in params ? Number(params.size) : 0;
      request.session.set("grown", "x".repeat(size));
      return { ok: true };
    });
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  };
  afterEach(() => app.close());

  const cookieOf = (line: string | undefined) => /^[^=]+=([^;]*)/.exec(line ?? "")?.[1] ?? "";
  const login = async (...headers: string[]) =>
    cookieOf(header(await request(url, "POST /login", ["Content-Length: 0", ...headers]), "set-cookie"));
  const me = async (cookie: string) => {
    const response = await request(url, "GET /me", [`Cookie: ${cookie}`]);
    expectSecurityHeaders(response);
    expect(header(response, "set-cookie")).toBeUndefined();
    return response;
  };
  const userOf = async (cookie: string): Promise<unknown> => JSON.parse((await me(cookie)).body).user;

  it("is refused when any character of its cookie is another", async () => {
    await start();
    const cookie = await login();
    expect(await userOf(`session_id=${cookie}`)).toBe("u1");
    const anonymous = fingerprint(await me("other=1"));
    for (let index = 0; index < cookie.length; index++) {
      const shifted = (ALPHABET.indexOf(cookie.charAt(index)) + 1 + (index % 62)) % 64;
      const changed = cookie.slice(0, index) + ALPHABET.charAt(shifted) + cookie.slice(index + 1);
      expect(fingerprint(await me(`session_id=${changed}`))).toBe(anonymous);
    }
    expect(rejections.length).toBe(cookie.length);
  });

  it("is refused in every other spelling", async () => {
    await start();
    const cookie = await login();
    for (const value of [
      "",
      "x",
      "%00",
      "null",
      "__proto__",
      '{"user":"u1"}',
      Buffer.from('{"user":"u1"}').toString("base64url"),
      `${cookie}=`,
      `${cookie}A`,
      `A${cookie}`,
      `"${cookie}`,
      `'${cookie}'`,
      `""${cookie}""`,
      `${cookie},${cookie}`,
      cookie.slice(0, -1),
      cookie.slice(0, 20),
      cookie.toLowerCase(),
      encodeURIComponent(`${cookie} `),
      "A".repeat(cookie.length),
      "A".repeat(4096),
      "A".repeat(15_000),
      "\xff".repeat(100),
      ".".repeat(10_000),
    ]) {
      expect(await userOf(`session_id=${value}`)).toBeNull();
    }
  });

  it("is refused under another name, and another one's under this", async () => {
    await start({ cookieName: "other_id" });
    const other = await login();
    expect(await userOf(`other_id=${other}`)).toBe("u1");
    expect(await userOf(`session_id=${other}`)).toBeNull();
    await app.close();
    await start();
    expect(await userOf(`session_id=${other}`)).toBeNull();
    const cookie = await login();
    for (const name of ["SESSION_ID", "session_id ", "xsession_id", "session_id2", "__Host-session_id"]) {
      expect(await userOf(`${name.trim()}x=${cookie}; x${name}=${cookie}`)).toBeNull();
    }
  });

  it("is refused when another secret made it", async () => {
    await start({ secret: "another secret of more than thirty-two bytes" });
    const foreign = await login();
    await app.close();
    await start();
    expect(await userOf(`session_id=${foreign}`)).toBeNull();
    expect(rejections).toEqual(["signature"]);
  });

  it("is found among cookies of the same name that were planted", async () => {
    await start();
    const cookie = await login();
    expect(await userOf(`session_id=planted; session_id=${cookie}`)).toBe("u1");
    expect(await userOf(`session_id=${cookie}; session_id=planted`)).toBe("u1");
    expect(await userOf(`a=session_id=x; session_id=${cookie}`)).toBe("u1");
    const planted = Array.from({ length: 50 }, (_, index) => `session_id=planted${index}`).join("; ");
    expect(await userOf(`session_id=${cookie}; ${planted}`)).toBe("u1");
    expect([null, "u1"]).toContain(await userOf(`${planted}; session_id=${cookie}`));
  });

  it("does not take over an id that a client brings", async () => {
    await start();
    for (const value of ["fixed", "A".repeat(43), "A".repeat(100)]) {
      const response = await request(url, "POST /login", ["Content-Length: 0", `Cookie: session_id=${value}`]);
      const cookie = cookieOf(header(response, "set-cookie"));
      expect(cookie).not.toContain(value);
      expect(await userOf(`session_id=${cookie}`)).toBe("u1");
      expect(await userOf(`session_id=${value}`)).toBeNull();
    }
  });

  it("sets no cookie for a request that only looks", async () => {
    await start();
    const response = await request(url, "GET /id");
    expect(response.body).toBe('{"isNew":true}');
    expect(header(response, "set-cookie")).toBeUndefined();
  });

  it("is not sent by other sites' pages, whatever the method says", async () => {
    await start();
    const cookie = `Cookie: session_id=${await login()}`;
    for (const site of [
      ["Sec-Fetch-Site: cross-site"],
      ["Sec-Fetch-Site: same-site"],
      ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
      ["Origin: null"],
      ["Origin: http://app.example.evil.example"],
      ["Origin: http://app.example:81"],
      ["Origin: http://evil.example/app.example"],
    ]) {
      const response = await request(url, "POST /logout", ["Content-Length: 0", cookie, ...site]);
      expect(response.status).toBe(403);
      expectSecurityHeaders(response);
    }
    expect(await userOf(cookie.slice(8))).toBe("u1");
    for (const site of [["Sec-Fetch-Site: same-origin"], ["Origin: http://app.example"], []]) {
      expect((await request(url, "POST /grow/1", ["Content-Length: 0", cookie, ...site])).status).toBe(200);
    }
  });

  it("that is too large is an error of the handler, and no cookie that the browser drops", async () => {
    await start();
    const response = await request(url, "POST /grow/5000", ["Content-Length: 0"]);
    if (createStore() === undefined) {
      expect(response.status).toBe(500);
      expect(header(response, "set-cookie")).toBeUndefined();
    } else {
      expect(response.status).toBe(200);
      expect(header(response, "set-cookie")?.length).toBeLessThan(300);
    }
    expectSecurityHeaders(response);
  });

  it("ends with its logout", async () => {
    await start();
    const cookie = await login();
    const response = await request(url, "POST /logout", ["Content-Length: 0", `Cookie: session_id=${cookie}`]);
    expect(header(response, "set-cookie")).toMatch(/^session_id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT/);
    // A sealed cookie that was copied opens until it expires: that is said where `destroy` is described.
    if (createStore() !== undefined) expect(await userOf(`session_id=${cookie}`)).toBeNull();
  });
});
