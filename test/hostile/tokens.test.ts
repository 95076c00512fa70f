import { createHmac } from "node:crypto";
import { App, CSP, type TokenRejection } from "cello";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSurvival } from "./survival.js";
import { expectSecurityHeaders, fingerprint, header, request, type WireResponse } from "./wire.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const now = () => Math.floor(Date.now() / 1000);
const base64url = (text: string | Buffer) => Buffer.from(text).toString("base64url");

/** A token made by hand, of any header and payload. */
function forge(joseHeader: unknown, payload: string | Buffer | object, key = secret, hash = "sha256"): string {
  const text = typeof payload === "string" || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
  const head = typeof joseHeader === "string" ? joseHeader : JSON.stringify(joseHeader);
  const input = `${base64url(head)}.${base64url(text)}`;
  return `${input}.${createHmac(hash, key).update(input).digest("base64url")}`;
}

const HS256 = { alg: "HS256", typ: "JWT" };
const claims = (more: object = {}) => ({ sub: "u1", iat: now(), exp: now() + 900, ...more });
const good = () => forge(HS256, claims());
const unsigned = (alg: string) => `${base64url(JSON.stringify({ alg }))}.${base64url(JSON.stringify(claims()))}.`;

/** The same signature with its last character's unused bits set. */
function withTrailingBits(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? "A") + 1];
}

function flipped(token: string, segment: number): string {
  const parts = token.split(".").map((part) => Buffer.from(part, "base64url"));
  const part = parts[segment];
  if (part !== undefined) part[part.length - 2] = (part[part.length - 2] ?? 0) ^ 1;
  return parts.map((bytes) => bytes.toString("base64url")).join(".");
}

const badTokens: Readonly<Record<string, () => string>> = {
  "one letter": () => "x",
  "three letters": () => "a.b.c",
  "two segments": () => good().split(".").slice(0, 2).join("."),
  "four segments": () => `${good()}.${good().split(".")[2]}`,
  "five segments, as of a JWE": () => "a.b.c.d.e",
  "two dots": () => "..",
  "100,000 dots": () => ".".repeat(100_000),
  "1 MB of one letter": () => "A".repeat(1_000_000),
  "1 MB of payload under a right signature": () => forge(HS256, claims({ fill: "x".repeat(750_000) })),
  "1 MB of open brackets under a right signature": () => forge(HS256, "[".repeat(700_000)),
  "a token one character too long": () => forge(HS256, claims({ fill: "x".repeat(7000) })).padEnd(8193, "A"),
  "no algorithm": () => unsigned("none"),
  "no algorithm in capitals": () => unsigned("NONE"),
  "another hash": () => forge({ alg: "HS512" }, claims(), secret, "sha512"),
  "HS256 claimed as RS256": () => forge({ alg: "RS256" }, claims()),
  "an algorithm in small letters": () => forge({ alg: "hs256" }, claims()),
  "a list as algorithm": () => forge({ alg: ["HS256"] }, claims()),
  "no header": () => forge("", claims()),
  "a header that is a list": () => forge("[]", claims()),
  "another secret": () => forge(HS256, claims(), "another secret of more than thirty-two bytes"),
  "an empty secret": () => forge(HS256, claims(), ""),
  "a flipped bit in the header": () => flipped(good(), 0),
  "a flipped bit in the payload": () => flipped(good(), 1),
  "a flipped bit in the signature": () => flipped(good(), 2),
  "trailing bits in the signature": () => withTrailingBits(good()),
  "padding behind the signature": () => `${good()}=`,
  "base64 that is not base64url": () => good().replaceAll("-", "+").replaceAll("_", "/").replace(".", "+."),
  "a signature cut short": () => good().slice(0, -4),
  "an empty signature": () => good().replace(/[^.]+$/, ""),
  "a critical extension": () => forge({ ...HS256, crit: ["exp"], exp: 1 }, claims()),
  "an unencoded payload": () => forge({ ...HS256, b64: false, crit: ["b64"] }, claims()),
  "a key in the token": () => forge({ ...HS256, jwk: { kty: "oct", k: base64url("evil") } }, claims(), "evil"),
  "a key set named in the token": () => forge({ ...HS256, jku: "http://127.0.0.1:1/keys" }, claims(), "evil"),
  "a duplicate header member": () => forge('{"alg":"HS256","alg":"HS256"}', claims()),
  "a duplicate claim": () => forge(HS256, `{"sub":"u1","sub":"admin","exp":${now() + 900}}`),
  "a duplicate claim by an escape": () => forge(HS256, `{"sub":"u1","s\\u0075b":"admin","exp":${now() + 900}}`),
  "a payload that is a list": () => forge(HS256, "[1]"),
  "a payload that is null": () => forge(HS256, "null"),
  "a payload that is no JSON": () => forge(HS256, "{sub:1}"),
  "a payload that is no UTF-8": () => forge(HS256, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
  "a payload with a byte order mark": () => forge(HS256, `\ufeff${JSON.stringify(claims())}`),
  "__proto__ for claims": () => forge(HS256, '{"__proto__":{"sub":"admin","exp":9999999999}}'),
  "an expiry in the past": () => forge(HS256, claims({ exp: now() - 1 })),
  "an expiry of now": () => forge(HS256, claims({ exp: now() })),
  "no expiry": () => forge(HS256, { sub: "u1" }),
  "an expiry as text": () => forge(HS256, claims({ exp: String(now() + 900) })),
  "an endless expiry": () => forge(HS256, '{"sub":"u1","exp":1e400}'),
  "an expiry of null": () => forge(HS256, claims({ exp: null })),
  "a start in the future": () => forge(HS256, claims({ nbf: now() + 900 })),
  "issue in the future": () => forge(HS256, claims({ iat: now() + 900 })),
  "a subject that is an object": () => forge(HS256, claims({ sub: { $ne: null } })),
  "two tokens": () => `${good()} ${good()}`,
  "two tokens with a comma": () => `${good()}, Bearer ${good()}`,
  "a tab behind it": () => `${good()}\t x`,
  "bytes above ASCII": () => "\xff\xfe\xe2\x80\xae",
  "half of a surrogate pair in the subject": () => forge(HS256, `{"sub":"\\ud800","exp":${now() + 900}}`),
  "half of a surrogate pair in a name": () => forge(HS256, `{"\\udfff":1,"exp":${now() + 900}}`),
  "a quoted token": () => `"${good()}"`,
};

describe("a bad token", () => {
  let app: App;
  let url: string;
  const reasons: TokenRejection[] = [];
  const me = (...headers: string[]) => request(url, "GET /me", headers);
  const refused = () => me("Authorization: Bearer x");

  beforeAll(async () => {
    app = new App({ http: { maxHeaderSize: 4_000_000 } });
    app.enableJwt({ secret, cookieName: "token" });
    app.enableSecurityHeaders({ csp: new CSP().defaultSrc("'self'").scriptSrc(CSP.NONCE) });
    app.get("/me", (request) => ({ sub: request.claims.sub }));
    app.on("token.rejected", ({ reason }) => reasons.push(reason));
    url = await app.listen({ port: 0, host: "127.0.0.1" });
  });
  afterAll(() => app.close());

  it("is not the one that this test makes itself", async () => {
    const response = await me(`Authorization: Bearer ${good()}`);
    expect(response.status).toBe(200);
    expect(response.body).toBe('{"sub":"u1"}');
  });

  it.each(Object.entries(badTokens))("is refused with the same bytes as any other: %s", async (_name, make) => {
    const response = await me(`Authorization: Bearer ${make()}`);
    expectSecurityHeaders(response);
    expect(fingerprint(response)).toBe(fingerprint(await refused()));
    expect(response.status).toBe(401);
    expect(header(response, "www-authenticate")).toBe('Bearer error="invalid_token"');
  });

  it("is refused when its last bytes are not ASCII, also right after the good one that it was made of", async () => {
    for (const end of ["\xe9", "\xff", "\xc3\xa9", "\u00c4\u00c4\u00c4"]) {
      const token = good();
      expect((await me(`Authorization: Bearer ${token}`)).status).toBe(200);
      const forged = await me(`Authorization: Bearer ${token.slice(0, -end.length)}${end}`);
      expect(fingerprint(forged)).toBe(fingerprint(await refused()));
      const again = await me(`Authorization: Bearer ${token.slice(0, -1)}${end}`);
      expect(fingerprint(again)).toBe(fingerprint(await refused()));
    }
  });

  it.each(Object.entries(badTokens))("is refused alike from the cookie: %s", async (_name, make) => {
    const token = make();
    if (/[\t ,"]/.test(token)) return;
    const response = await me(`Cookie: a=b; token=${token}; c=d`);
    expect(fingerprint(response)).toBe(fingerprint(await refused()));
  });

  it.each([
    ["two different headers", () => [`Authorization: Bearer ${good()}`, "Authorization: Bearer x"]],
    ["the same header twice", () => [`Authorization: Bearer ${good()}`, `authorization: Bearer ${good()}`]],
    ["another scheme before", () => ["Authorization: Basic eDp5", `Authorization: Bearer ${good()}`]],
    ["an empty header behind", () => [`Authorization: Bearer ${good()}`, "Authorization:"]],
    ["the scheme alone", () => ["Authorization: Bearer"]],
    ["the scheme and spaces", () => ["Authorization: Bearer      "]],
    ["two different cookies", () => [`Cookie: token=${good()}; token=x`]],
    ["two Cookie headers", () => [`Cookie: token=${good()}`, "Cookie: token=x"]],
    ["a bad header beside a good cookie", () => ["Authorization: Bearer x", `Cookie: token=${good()}`]],
  ])("is refused with the same bytes: %s", async (_name, headers) => {
    expect(fingerprint(await me(...headers()))).toBe(fingerprint(await refused()));
  });

  it("has its cause told to the application only", async () => {
    reasons.length = 0;
    await me(`Authorization: Bearer ${forge(HS256, claims({ exp: now() - 1 }))}`);
    await me(`Authorization: Bearer ${"A".repeat(1_000_000)}`);
    await me("Authorization: Bearer x", "Authorization: Bearer x");
    expect(reasons).toEqual(["expired", "too_long", "duplicate_header"]);
  });

  it("harms nobody when those who listen for it fail", async () => {
    const other = new App().enableJwt({ secret });
    other.on("token.rejected", () => {
      throw new Error("the log is full");
    });
    other.on("token.rejected", async () => {
      throw new Error("the log is full, I find out later");
    });
    other.get("/me", () => "never");
    const otherUrl = await other.listen({ port: 0, host: "127.0.0.1" });
    expect((await request(otherUrl, "GET /me", ["Authorization: Bearer x"])).status).toBe(401);
    await other.close();
  });

  it("is refused on every method alike, and never runs the handler", async () => {
    const token = `Authorization: Bearer ${forge(HS256, claims(), "x")}`;
    const bodies = new Map<string, WireResponse>();
    for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"]) {
      bodies.set(method, await request(url, `${method} /me`, [token, "Content-Length: 0"]));
    }
    const answers = [...bodies.values()];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    for (const answer of answers) expectSecurityHeaders(answer);
  });
});

describe("a missing token", () => {
  it.each([
    [],
    ["Authorization:"],
    ["Authorization: Basic eDp5"],
    ["Authorization: Bearerx y"],
    ["Cookie: tokenx=a; xtoken=b; token="],
    [`Cookie: ${Array.from({ length: 50 }, (_, index) => `c${index}=${"x".repeat(100)}`).join("; ")}`],
  ])("is asked for without an error code: %s", async (...headers) => {
    const app = new App().enableJwt({ secret, cookieName: "token" });
    app.get("/me", () => "never");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await request(url, "GET /me", headers);
    expect(response.status).toBe(401);
    expect(header(response, "www-authenticate")).toBe("Bearer");
    await app.close();
  });
});

describe("tokens for others", () => {
  it("are refused as forged ones are", async () => {
    const app = new App().enableJwt({ secret, issuer: "https://me.example", audience: "api", typ: "at+jwt" });
    app.get("/me", () => "never");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const right = { iss: "https://me.example", aud: ["other", "api"] };
    const at = { alg: "HS256", typ: "at+jwt" };
    const ask = (token: string) => request(url, "GET /me", [`Authorization: Bearer ${token}`]);
    expect((await ask(forge(at, claims(right)))).status).toBe(200);
    const expected = fingerprint(await ask("x"));
    for (const token of [
      forge(at, claims({ ...right, iss: "https://evil.example" })),
      forge(at, claims({ ...right, iss: undefined })),
      forge(at, claims({ ...right, iss: ["https://me.example"] })),
      forge(at, claims({ ...right, aud: "other" })),
      forge(at, claims({ ...right, aud: [] })),
      forge(at, claims({ ...right, aud: { api: 1 } })),
      forge(HS256, claims(right)),
      forge({ alg: "HS256" }, claims(right)),
    ]) {
      expect(fingerprint(await ask(token))).toBe(expected);
    }
    await app.close();
  });
});
