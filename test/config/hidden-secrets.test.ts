import { createHmac, createSecretKey, generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { App, Jwt, JwtConfig, MemorySessionStore, RateLimitConfig, Security, SessionConfig } from "cello";
import { describe, expect, it } from "vitest";

const SECRET = "hide-me-hide-me-hide-me-hide-me-hide-me-hide-me";
const OTHER = "hide-this-as-well-hide-this-as-well-hide-this-as-well";
const bytes = Buffer.from(SECRET);
const rsa = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ecJwk = ec.privateKey.export({ format: "jwk" });

/** Every spelling under which one of the secrets above could show. */
const spellings: readonly string[] = [
  SECRET,
  SECRET.slice(0, 16),
  OTHER.slice(0, 16),
  bytes.toString("hex").slice(0, 32),
  bytes.toString("base64").slice(0, 24),
  bytes.toString("base64url").slice(0, 24),
  // How inspect shows a Buffer, a Uint8Array and JSON shows both.
  [...bytes.subarray(0, 8)].map((byte) => byte.toString(16)).join(" "),
  [...bytes.subarray(0, 8)].join(", "),
  [...bytes.subarray(0, 8)].join(","),
  rsa.privateKey.split("\n")[3] ?? "PEM",
  ecJwk.d ?? "JWK",
];

async function everything() {
  const app = new App();
  app.enableJwt({ secret: SECRET, cookieName: "token" });
  app.enableSession({ secret: [SECRET, OTHER], store: new MemorySessionStore() });
  app.enableSecurityHeaders();
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 5, window: 1 }));
  app.get("/", { auth: false }, (request) => {
    request.session.set("a", 1);
    return "x";
  });
  await app.inject("/");
  return app;
}

const objects: readonly (readonly [string, () => unknown])[] = [
  ["a JwtConfig of text", () => new JwtConfig({ secret: SECRET })],
  ["a JwtConfig of bytes", () => new JwtConfig({ secret: bytes })],
  ["a JwtConfig of several", () => new JwtConfig({ secret: [SECRET, OTHER] })],
  ["a JwtConfig of a KeyObject", () => new JwtConfig({ secret: createSecretKey(bytes) })],
  ["a JwtConfig of an oct JWK", () => new JwtConfig({ secret: { kty: "oct", k: bytes.toString("base64url") } })],
  ["a JwtConfig of PEM", () => new JwtConfig({ secret: rsa.privateKey, algorithm: "RS256" })],
  ["a JwtConfig of a JWK", () => new JwtConfig({ secret: ecJwk, algorithm: "ES256" })],
  ["a SessionConfig of text", () => new SessionConfig({ secret: SECRET })],
  ["a SessionConfig of several", () => new SessionConfig({ secret: [bytes, OTHER] })],
  ["a Jwt", () => new Jwt({ secret: SECRET })],
  ["a Security", () => new Security({ jwt: { secret: SECRET }, session: { secret: SECRET } })],
  ["a SessionManager", () => new Security({ session: { secret: SECRET } }).policy.sessions],
  ["an authenticator", () => new Security({ jwt: { secret: SECRET } }).policy.authenticator],
  ["an App", everything],
  ["the policy of an App", async () => (await everything()).security],
  ["the Jwt of an App", async () => (await everything()).jwt],
];

/** JSON as a logger writes it: what is circular or cannot be written is left out. */
function json(value: unknown): string {
  const seen = new Set<unknown>();
  return JSON.stringify(value, (_name, member: unknown) => {
    if (typeof member === "bigint") return String(member);
    if (typeof member === "object" && member !== null) {
      if (seen.has(member)) return "[seen]";
      seen.add(member);
    }
    return member;
  });
}

describe.each(objects)("%s", (_name, make) => {
  it("shows no secret to util.inspect", async () => {
    const value = await make();
    for (const showHidden of [false, true]) {
      const shown = inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden, maxStringLength: null });
      expect(shown.length).toBeGreaterThan(0);
      for (const spelling of spellings) expect(shown.includes(spelling)).toBe(false);
    }
  });

  it("shows no secret inside of something else", async () => {
    const shown = inspect({ nested: [await make()] }, { depth: 4, showHidden: true, compact: false });
    for (const spelling of spellings) expect(shown.includes(spelling)).toBe(false);
  });

  it("shows no secret to JSON.stringify", async () => {
    const shown = json(await make()) ?? "";
    for (const spelling of spellings) expect(shown.includes(spelling)).toBe(false);
  });
});

describe("a configuration", () => {
  it("says that there is a secret", () => {
    expect(inspect(new JwtConfig({ secret: SECRET }))).toContain("[secret]");
    expect(inspect(new SessionConfig({ secret: SECRET }))).toContain("[secret]");
    expect(JSON.parse(JSON.stringify(new JwtConfig({ secret: SECRET })))).toMatchObject({ secret: "[secret]" });
    expect(JSON.parse(JSON.stringify(new SessionConfig({ secret: SECRET })))).toMatchObject({ secret: "[secret]" });
  });

  it("would be caught by this test if it showed one", () => {
    const shown = inspect({ secret: bytes, hash: createHmac("sha256", SECRET) }, { showHidden: true });
    expect(spellings.some((spelling) => shown.includes(spelling))).toBe(true);
  });
});

describe("a limit", () => {
  it("does not show its store, which may hold the password of a server", () => {
    const store = { url: `redis://:${SECRET}@host`, consume() {}, peek() {}, reset() {} };
    const config = Reflect.apply(RateLimitConfig.tokenBucket, RateLimitConfig, [{ requests: 1, window: 1, store }]);
    for (const shown of [inspect(config, { depth: 9, showHidden: true }), JSON.stringify(config)]) {
      expect(shown).not.toContain(SECRET);
    }
  });

  it("does not show what was given in the place of its options", () => {
    const make = () => Reflect.apply(RateLimitConfig.tokenBucket, RateLimitConfig, ["redis://:hide-me@host"]);
    expect(make).toThrow(/got a string/);
    expect(make).not.toThrow(/hide-me/);
  });

  it("does not show what was given in the place of a store", () => {
    const store = "redis://:hide-me@host";
    const make = () => Reflect.apply(RateLimitConfig.tokenBucket, RateLimitConfig, [{ requests: 1, window: 1, store }]);
    expect(make).toThrow(/store/);
    expect(make).not.toThrow(/hide-me/);
  });
});
