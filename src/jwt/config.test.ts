import { generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ConfigError } from "../core/errors.js";
import { JwtConfig, keysOf } from "./config.js";

const secret = "Zq8#vT2m!xR5kW9pL3sY7cJ1bN6hF4dg";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const publicPem = rsa.publicKey.export({ format: "pem", type: "spki" }).toString();
const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
const jwksUri = "https://issuer.example/jwks.json";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe("JwtConfig", () => {
  it("has the documented defaults", () => {
    expect({ ...new JwtConfig({ secret }), excludedPaths: undefined }).toEqual({
      algorithm: "HS256",
      expiration: 3600,
      issuer: undefined,
      audience: undefined,
      headerName: "Authorization",
      headerPrefix: "Bearer",
      cookieName: undefined,
      clockTolerance: 0,
      required: true,
      exclude: [],
      excludedPaths: undefined,
      maxTokenLength: 8192,
      jwksUri: undefined,
      jwksCooldown: 30,
      jwksTimeout: 5,
      jwksMaxAge: 600,
      jwksMaxStale: 86_400,
      requireExpiration: true,
      strict: false,
      typ: undefined,
      cacheSize: 10_000,
      store: undefined,
      onStoreError: "deny",
    });
  });

  it("keeps what it was given, takes undefined for not given, and is frozen", () => {
    const config = new JwtConfig({
      secret,
      issuer: ["a", "b"],
      audience: "api",
      headerPrefix: "",
      exclude: ["/login", "/public/*"],
      expiration: undefined,
      clockTolerance: 1.5,
    });
    expect(config).toMatchObject({ issuer: ["a", "b"], audience: "api", headerPrefix: "", expiration: 3600 });
    expect(config.secret).toBe(secret);
    expect(config.excludedPaths.matches("/public/a")).toBe(true);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("shows no secret", () => {
    const jwk = { kty: "oct", k: Buffer.from(secret).toString("base64url") };
    for (const given of [secret, Buffer.from(secret), jwk, [jwk, "another of enough different bytes"]]) {
      const config = new JwtConfig({ secret: given });
      for (const text of [
        inspect(config),
        inspect({ config }, { depth: 9, showHidden: true }),
        JSON.stringify(config),
      ]) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(jwk.k);
        expect(text).not.toContain("5a 71 38");
        expect(text).toContain("[secret]");
      }
    }
  });

  it("takes several keys: all verify, the first signs", () => {
    const keys = keysOf(new JwtConfig({ secret: [rsa.privateKey, publicPem], algorithm: "RS256" }));
    expect(keys.map((key) => key.sign !== undefined)).toEqual([true, false]);
  });

  it.each<[string, unknown, string, string, RegExp]>([
    ["no options", undefined, "CELLO_MISSING", "secret", /npx cello secret/],
    ["options that are text", secret, "CELLO_WRONG_TYPE", "", /options object/],
    [
      "a field with a typing mistake",
      { secret, expiratoin: 1 },
      "CELLO_UNKNOWN_FIELD",
      "expiratoin",
      /did you mean "expiration"/,
    ],
    ["a missing environment variable", { secret: undefined }, "CELLO_MISSING", "secret", /is required/],
    ["an empty secret", { secret: "" }, "CELLO_WEAK_SECRET", "secret", /got 0/],
    ["empty bytes as secret", { secret: new Uint8Array() }, "CELLO_WEAK_SECRET", "secret", /got 0/],
    [
      "a short secret when strict",
      { secret: "short-secret-15", strict: true },
      "CELLO_WEAK_SECRET",
      "secret",
      /an HS256 key needs at least 32 bytes, got 15; make one with "npx cello secret"/,
    ],
    [
      "a short secret in a list when strict",
      { secret: [secret, "short"], strict: true },
      "CELLO_WEAK_SECRET",
      "secret",
      /got 5/,
    ],
    [
      "a secret too short for HS512 when strict",
      { secret, algorithm: "HS512", strict: true },
      "CELLO_WEAK_SECRET",
      "secret",
      /an HS512 key needs at least 64 bytes, got 32/,
    ],
    [
      "keys that would be given up before they are old",
      { jwksUri: "https://issuer.example/jwks", algorithm: "ES256", jwksMaxStale: 599 },
      "CELLO_CONFLICT",
      "jwksMaxStale",
      /less than jwksMaxAge/,
    ],
    ["jwksMaxStale without a jwksUri", { secret, jwksMaxStale: 5 }, "CELLO_CONFLICT", "jwksMaxStale", /no effect/],
    ["a number as secret", { secret: 12345 }, "CELLO_WRONG_TYPE", "secret", /must be a string, bytes/],
    ["null as secret", { secret: null }, "CELLO_WRONG_TYPE", "secret", /must be a string, bytes/],
    ["an object that is no key", { secret: {} }, "CELLO_INVALID_VALUE", "secret", /is not a key/],
    ["a list in a list", { secret: [[secret]] }, "CELLO_WRONG_TYPE", "secret", /must be a string, bytes/],
    ["no secret in the list", { secret: [] }, "CELLO_INVALID_VALUE", "secret", /empty list/],
    [
      "a public key as HMAC secret",
      { secret: publicPem },
      "CELLO_INVALID_VALUE",
      "secret",
      /needs a shared secret, got PEM/,
    ],
    ["a secret for RS256", { secret, algorithm: "RS256" }, "CELLO_INVALID_VALUE", "secret", /without "-----BEGIN"/],
    ["a small RSA key", { secret: small.privateKey, algorithm: "RS256" }, "CELLO_INVALID_VALUE", "secret", /2048 bits/],
    [
      "a key of another type",
      { secret: rsa.privateKey, algorithm: "ES256" },
      "CELLO_INVALID_VALUE",
      "secret",
      /on curve P-256/,
    ],
    [
      "a JWK for encryption",
      { secret: { kty: "oct", k: "AAAA", use: "enc" } },
      "CELLO_INVALID_VALUE",
      "secret",
      /"use"/,
    ],
    ["alg none", { secret, algorithm: "none" }, "CELLO_INVALID_VALUE", "algorithm", /one of "HS256"/],
    [
      "an algorithm in other letters",
      { secret, algorithm: "hs256" },
      "CELLO_INVALID_VALUE",
      "algorithm",
      /one of "HS256"/,
    ],
    ["a list of algorithms", { secret, algorithm: ["HS256"] }, "CELLO_INVALID_VALUE", "algorithm", /one of "HS256"/],
    ["an expiration as text", { secret, expiration: "15m" }, "CELLO_WRONG_TYPE", "expiration", /must be a number/],
    ["a negative expiration", { secret, expiration: -1 }, "CELLO_OUT_OF_RANGE", "expiration", /seconds/],
    [
      "an expiration that is not finite",
      { secret, expiration: Number.POSITIVE_INFINITY },
      "CELLO_OUT_OF_RANGE",
      "expiration",
      /seconds/,
    ],
    [
      "an expiration that is not a number",
      { secret, expiration: Number.NaN },
      "CELLO_OUT_OF_RANGE",
      "expiration",
      /seconds/,
    ],
    ["a negative tolerance", { secret, clockTolerance: -1 }, "CELLO_OUT_OF_RANGE", "clockTolerance", /seconds/],
    ["an empty issuer", { secret, issuer: "" }, "CELLO_INVALID_VALUE", "issuer", /empty string/],
    ["no issuer in the list", { secret, issuer: [] }, "CELLO_INVALID_VALUE", "issuer", /empty list/],
    ["an audience that is a number", { secret, audience: 7 }, "CELLO_WRONG_TYPE", "audience", /string/],
    [
      "a header name with a space",
      { secret, headerName: "X Token" },
      "CELLO_INVALID_VALUE",
      "headerName",
      /does not allow/,
    ],
    [
      "a header name with a line break",
      { secret, headerName: "X\r\nY" },
      "CELLO_INVALID_VALUE",
      "headerName",
      /control character/,
    ],
    [
      "a prefix with a space",
      { secret, headerPrefix: "Bearer " },
      "CELLO_INVALID_VALUE",
      "headerPrefix",
      /does not allow/,
    ],
    ["a blank audience", { secret, audience: [" "] }, "CELLO_INVALID_VALUE", "audience", /is blank/],
    ["a blank issuer in a list", { secret, issuer: ["a", " "] }, "CELLO_INVALID_VALUE", "issuer", /is blank/],
    ["a blank path", { secret, exclude: [" "] }, "CELLO_INVALID_VALUE", "exclude", /is blank/],
    ["no path", { secret, exclude: [""] }, "CELLO_INVALID_VALUE", "exclude", /empty string/],
    ["an empty header name", { secret, headerName: "" }, "CELLO_INVALID_VALUE", "headerName", /empty string/],
    [
      "a cookie name with a semicolon",
      { secret, cookieName: "a;b" },
      "CELLO_INVALID_VALUE",
      "cookieName",
      /does not allow/,
    ],
    ["required as text", { secret, required: "false" }, "CELLO_WRONG_TYPE", "required", /true or false/],
    ["an exclude that is no list", { secret, exclude: "/login" }, "CELLO_WRONG_TYPE", "exclude", /list/],
    [
      "an excluded path without a slash",
      { secret, exclude: ["login"] },
      "CELLO_INVALID_VALUE",
      "exclude",
      /begin with/,
    ],
    ["a star before the end", { secret, exclude: ["/*/x"] }, "CELLO_INVALID_VALUE", "exclude", /only at the end/],
    ["a length that is not whole", { secret, maxTokenLength: 100.5 }, "CELLO_OUT_OF_RANGE", "maxTokenLength", /whole/],
    ["a length of 0", { secret, maxTokenLength: 0 }, "CELLO_OUT_OF_RANGE", "maxTokenLength", /from 16/],
    ["a negative cache", { secret, cacheSize: -1 }, "CELLO_OUT_OF_RANGE", "cacheSize", /from 0/],
    ["an endless cache", { secret, cacheSize: Number.POSITIVE_INFINITY }, "CELLO_OUT_OF_RANGE", "cacheSize", /from 0/],
    ["a typ that is a number", { secret, typ: 1 }, "CELLO_WRONG_TYPE", "typ", /string/],
    ["strict as a number", { secret, strict: 1 }, "CELLO_WRONG_TYPE", "strict", /true or false/],
    [
      "jwksUri with a secret",
      { secret, jwksUri, algorithm: "RS256" },
      "CELLO_CONFLICT",
      "jwksUri",
      /together with secret/,
    ],
    ["jwksUri with HS256", { jwksUri }, "CELLO_CONFLICT", "jwksUri", /cannot be used with HS256/],
    [
      "jwksUri over http",
      { jwksUri: "http://issuer.example/jwks", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /https/,
    ],
    [
      "jwksUri over http to a host that only begins like loopback",
      { jwksUri: "http://127.0.0.1.example/", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /https/,
    ],
    [
      "jwksUri over http to localhost's namesake",
      { jwksUri: "http://localhost.example/", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /https/,
    ],
    [
      "jwksUri of another protocol",
      { jwksUri: "file:///etc/passwd", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /https/,
    ],
    [
      "jwksUri that is no URL",
      { jwksUri: "issuer.example", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /https/,
    ],
    [
      "jwksUri with credentials",
      { jwksUri: "https://user:pass@issuer.example/", algorithm: "RS256" },
      "CELLO_INVALID_VALUE",
      "jwksUri",
      /credentials/,
    ],
    ["a cool-down without jwksUri", { secret, jwksCooldown: 1 }, "CELLO_CONFLICT", "jwksCooldown", /no effect/],
    ["a timeout of 0", { jwksUri, algorithm: "RS256", jwksTimeout: 0 }, "CELLO_OUT_OF_RANGE", "jwksTimeout", /seconds/],
  ])("refuses %s", (_, options, code, field, message) => {
    const create = () => Reflect.construct(JwtConfig, [options]);
    expect(create).toThrow(ConfigError);
    expect(create).toThrow(message);
    expect(create).toThrow(
      expect.objectContaining({ code, subject: "JwtConfig", field: field === "" ? undefined : field }),
    );
    expect(create).toThrow(/^JwtConfig.*: .+; .+/);
  });

  it("is strict in production", () => {
    vi.stubEnv("NODE_ENV", "production");
    expect(() => new JwtConfig({ secret: "short" })).toThrow(/got 5/);
    expect(new JwtConfig({ secret, strict: false }).strict).toBe(false);
  });

  it("warns of a short secret otherwise, and works", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    expect(keysOf(new JwtConfig({ secret: "your-secret-key" }))).toHaveLength(1);
    new JwtConfig({ secret: "your-secret-key" });
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it.each([
    "https://issuer.example/jwks",
    "http://localhost:8080/",
    "http://127.0.0.1/jwks",
    "http://127.1/",
    "http://[::1]:9/",
  ])("accepts the jwksUri %s", (uri) => {
    expect(new JwtConfig({ jwksUri: uri, algorithm: "ES256" }).jwksUri).toBe(uri);
  });
});
