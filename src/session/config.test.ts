import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { SessionConfig, type SessionOptions } from "./config.js";
import { MemorySessionStore } from "./memory-store.js";

const secret = "a secret of 32 bytes, for tests.";

function errorOf(options: Record<string, unknown>): ConfigError {
  try {
    const given: SessionOptions = { secret, ...options };
    new SessionConfig(given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`not refused: ${inspect(options)}`);
}

describe("SessionConfig", () => {
  it("has the documented defaults", () => {
    expect({ ...new SessionConfig({ secret }) }).toEqual({
      cookieName: "session_id",
      maxAge: 86_400,
      httponly: true,
      httpOnly: true,
      secure: false,
      sameSite: "Lax",
      path: "/",
      domain: undefined,
      idleTimeout: undefined,
      rolling: false,
      store: undefined,
      userKey: "userId",
      maxBytes: 262_144,
      partitioned: false,
      strict: false,
    });
  });

  it.each<[string, string, Record<string, unknown>]>([
    ["secret", "CELLO_MISSING", { secret: undefined }],
    ["secret", "CELLO_WEAK_SECRET", { secret: "" }],
    ["secret", "CELLO_WEAK_SECRET", { secret: [secret, ""] }],
    ["secret", "CELLO_WEAK_SECRET", { secret: "short", strict: true }],
    ["secret", "CELLO_WEAK_SECRET", { secret: [secret, new Uint8Array(31)], strict: true }],
    ["secret", "CELLO_INVALID_VALUE", { secret: [] }],
    ["secret", "CELLO_WRONG_TYPE", { secret: 12 }],
    ["secret", "CELLO_WRONG_TYPE", { secret: [[secret]] }],
    ["maxage", "CELLO_UNKNOWN_FIELD", { maxage: 1 }],
    ["cookieName", "CELLO_INVALID_VALUE", { cookieName: "a b" }],
    ["cookieName", "CELLO_INVALID_VALUE", { cookieName: "a;b" }],
    ["cookieName", "CELLO_INVALID_VALUE", { cookieName: "a\r\nb" }],
    ["cookieName", "CELLO_CONFLICT", { cookieName: "__Host-id" }],
    ["cookieName", "CELLO_CONFLICT", { cookieName: "__Host-id", secure: true, path: "/app" }],
    ["cookieName", "CELLO_CONFLICT", { cookieName: "__host-id", secure: true, domain: "example.com" }],
    ["cookieName", "CELLO_CONFLICT", { cookieName: "__Secure-id" }],
    ["maxAge", "CELLO_OUT_OF_RANGE", { maxAge: 0 }],
    ["maxAge", "CELLO_OUT_OF_RANGE", { maxAge: Number.NaN }],
    ["maxAge", "CELLO_WRONG_TYPE", { maxAge: "86400" }],
    ["httponly", "CELLO_WRONG_TYPE", { httponly: "yes" }],
    ["httpOnly", "CELLO_CONFLICT", { httponly: true, httpOnly: false }],
    ["sameSite", "CELLO_INVALID_VALUE", { sameSite: "lax" }],
    ["sameSite", "CELLO_CONFLICT", { sameSite: "None" }],
    ["path", "CELLO_INVALID_VALUE", { path: "app" }],
    ["path", "CELLO_INVALID_VALUE", { path: "/; Domain=evil.example" }],
    ["path", "CELLO_INVALID_VALUE", { path: "/é" }],
    ["domain", "CELLO_INVALID_VALUE", { domain: "https://example.com" }],
    ["domain", "CELLO_INVALID_VALUE", { domain: "example.com; Secure" }],
    ["domain", "CELLO_INVALID_VALUE", { domain: "example.com:443" }],
    ["domain", "CELLO_INVALID_VALUE", { domain: "-example.com" }],
    ["idleTimeout", "CELLO_CONFLICT", { idleTimeout: 100, maxAge: 99 }],
    ["rolling", "CELLO_WRONG_TYPE", { rolling: 1 }],
    ["store", "CELLO_WRONG_TYPE", { store: "memory" }],
    ["store", "CELLO_WRONG_TYPE", { store: new Map() }],
    ["partitioned", "CELLO_CONFLICT", { partitioned: true }],
  ])("refuses a wrong %s (%s): %j", (field, code, options) => {
    const error = errorOf(options);
    expect(error).toMatchObject({ subject: "SessionConfig", field, code });
    expect(error.message).toMatch(/^SessionConfig\.\w+: .+; .+/s);
  });

  it("reads httponly under both names", () => {
    for (const options of [{ httponly: false }, { httpOnly: false }, { httponly: false, httpOnly: false }]) {
      const config = new SessionConfig({ secret, ...options });
      expect([config.httponly, config.httpOnly]).toEqual([false, false]);
    }
  });

  it("refuses to promise for requests that nobody has seen yet", () => {
    for (const options of [
      { sameSite: "None" },
      { partitioned: true },
      { cookieName: "__Host-id" },
      { cookieName: "__secure-id" },
    ] as const) {
      expect(errorOf({ ...options, secure: "auto" })).toMatchObject({ code: "CELLO_CONFLICT" });
    }
    expect(new SessionConfig({ secret, secure: "auto" }).secure).toBe("auto");
    expect(errorOf({ secure: "always" })).toMatchObject({ field: "secure", code: "CELLO_WRONG_TYPE" });
  });

  it("takes the prefixed names where their rules hold", () => {
    expect(new SessionConfig({ secret, cookieName: "__Host-id", secure: true }).cookieName).toBe("__Host-id");
    const secure = { secret, cookieName: "__Secure-id", secure: true, path: "/app", domain: "example.com" };
    expect(new SessionConfig(secure).domain).toBe("example.com");
  });

  it("shows no secret, is frozen, and keeps its own copy of bytes", () => {
    const bytes = Buffer.from("0123456789abcdef0123456789abcdef");
    const config = new SessionConfig({ secret: [secret, bytes], store: new MemorySessionStore() });
    bytes.fill(0);
    for (const text of [inspect(config), inspect({ config }, { depth: 9 }), JSON.stringify(config), String(config)]) {
      expect(text).not.toMatch(/a secret of|0123456789|48, 49/);
    }
    expect(inspect(config)).toContain("[secret]");
    expect(Object.isFrozen(config)).toBe(true);
    expect(config.secret.map((one) => Buffer.from(one).toString())).toEqual([
      secret,
      "0123456789abcdef0123456789abcdef",
    ]);
  });

  it("counts bytes and not characters of a secret", () => {
    expect(new SessionConfig({ secret: "éàüößâêîôûñçøåæð", strict: true }).strict).toBe(true);
  });
});
