import { generateKeyPairSync } from "node:crypto";
import {
  App,
  ConfigError,
  type ConfigErrorCode,
  CSP,
  CsrfConfig,
  Jwt,
  JwtConfig,
  MemoryRevocationList,
  MemorySessionStore,
  RateLimitConfig,
  Security,
  SecurityHeadersConfig,
  SessionConfig,
} from "cello";
import { cello as celloExpress } from "cello/express";
import { secure } from "cello/fetch";
import { cello as celloHono } from "cello/hono";
import { describe, expect, it } from "vitest";

const SECRET = "do-not-show-me-do-not-show-me-do-not-show-me";
const SHORT_SECRET = "do-not-show";
const secret = SECRET;

const rsa = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: pem("spki"),
  privateKeyEncoding: pem("pkcs8"),
});
const smallRsa = generateKeyPairSync("rsa", {
  modulusLength: 1024,
  publicKeyEncoding: pem("spki"),
  privateKeyEncoding: pem("pkcs8"),
});
const p256 = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: pem("spki"),
  privateKeyEncoding: pem("pkcs8"),
});

function pem<Type extends string>(type: Type) {
  return { type, format: "pem" } as const;
}

/** As JavaScript calls it, which no compiler stops. */
const jwt = (options: unknown) => () => Reflect.construct(JwtConfig, [options]);
const session = (options: unknown) => () => Reflect.construct(SessionConfig, [options]);
const headers = (options: unknown) => () => Reflect.construct(SecurityHeadersConfig, [options]);
const csrf = (options: unknown) => () => Reflect.construct(CsrfConfig, [options]);
const store = (options: unknown) => () => Reflect.construct(MemorySessionStore, [options]);
const security = (options: unknown) => () => Reflect.construct(Security, [options]);
const application = (options: unknown) => () => Reflect.construct(App, [options]);
const bucket = (options: unknown) => () => Reflect.apply(RateLimitConfig.tokenBucket, RateLimitConfig, [options]);
const sliding = (options: unknown) => () => Reflect.apply(RateLimitConfig.slidingWindow, RateLimitConfig, [options]);
const adaptive = (options: unknown) => () => Reflect.apply(RateLimitConfig.adaptive, RateLimitConfig, [options]);
const csp =
  (method: string, ...sources: unknown[]) =>
  () =>
    Reflect.apply(Reflect.get(CSP.prototype, method), new CSP(), sources);
const enable =
  (method: string, ...values: unknown[]) =>
  () => {
    const app = new App();
    for (const value of values) Reflect.apply(Reflect.get(app, method), app, [value]);
  };
/** A route with these options, on an app with tokens and without anything else. */
const route = (options: object) => () => {
  const app = new App().enableJwt({ secret });
  Reflect.apply(app.get, app, ["/r", options, () => "x"]);
};
/** The same, where the mistake shows only when the policy is compiled. */
const start =
  (options: object, prepare: (app: App) => unknown = () => undefined) =>
  async () => {
    const app = new App();
    prepare(app);
    Reflect.apply(app.get, app, ["/r", options, () => "x"]);
    await app.fastify.ready();
  };

const limit = () => RateLimitConfig.tokenBucket({ requests: 1, window: 1 });

type Row = readonly [
  problem: string,
  make: () => unknown,
  code: ConfigErrorCode,
  subject: string,
  field: string | undefined,
  says: RegExp,
];

// biome-ignore format: a table, a line for each mistake.
const rows: readonly Row[] = [
  // JwtConfig
  ["no options", jwt(undefined), "CELLO_MISSING", "JwtConfig", "secret", /is required/],
  ["null for options", jwt(null), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /options object, got null/],
  ["a list for options", jwt([]), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /got a list/],
  ["a promise for options", jwt(Promise.resolve({ secret })), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /got an object \(Promise\)/],
  ["a promise for all options", security(Promise.resolve({ jwt: { secret } })), "CELLO_WRONG_TYPE", "Security", undefined, /\(Promise\)/],
  ["a promise for the options of an app", application(Promise.resolve({})), "CELLO_WRONG_TYPE", "App", undefined, /\(Promise\)/],
  ["a promise for trusted origins", enable("enableCsrf", Promise.resolve({})), "CELLO_WRONG_TYPE", "CsrfConfig", undefined, /\(Promise\)/],
  ["a Map for headers", headers(new Map([["hsts", false]])), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", undefined, /\(Map\)/],
  ["a query for headers", headers(new URLSearchParams("hsts=0")), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", undefined, /\(URLSearchParams\)/],
  ["a Map of features", headers({ permissionsPolicy: new Map([["camera", []]]) }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", "permissionsPolicy", /\(Map\)/],
  ["a Map of endpoints", headers({ reportingEndpoints: new Map() }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", "reportingEndpoints", /\(Map\)/],
  ["a Map for a limit", bucket(new Map([["requests", 5]])), "CELLO_WRONG_TYPE", "RateLimitConfig", undefined, /\(Map\)/],
  ["a promise for a route's limit", route({ rateLimit: Promise.resolve() }), "CELLO_WRONG_TYPE", "RateLimitConfig", undefined, /\(Promise\)/],
  ["a Map of a route's headers", route({ securityHeaders: new Map([["hsts", false]]) }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", undefined, /\(Map\)/],
  ["a promise for a route behind Express", () => Reflect.apply(celloExpress, undefined, [new Security(), Promise.resolve({ roles: ["admin"] })]), "CELLO_WRONG_TYPE", "route behind cello()", undefined, /\(Promise\)/],
  ["the secret in the place of options", jwt(SHORT_SECRET), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /got a string;/],
  ["no secret", jwt({}), "CELLO_MISSING", "JwtConfig", "secret", /npx cello secret/],
  ["an undefined secret", jwt({ secret: undefined }), "CELLO_MISSING", "JwtConfig", "secret", /is required/],
  ["an empty secret", jwt({ secret: "", strict: false }), "CELLO_WEAK_SECRET", "JwtConfig", "secret", /got 0/],
  ["empty bytes", jwt({ secret: new Uint8Array(), strict: false }), "CELLO_WEAK_SECRET", "JwtConfig", "secret", /got 0/],
  ["a number as secret", jwt({ secret: 42 }), "CELLO_WRONG_TYPE", "JwtConfig", "secret", /string, bytes, PEM/],
  ["no secrets in the list", jwt({ secret: [] }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /empty list/],
  ["null in the list", jwt({ secret: [secret, null] }), "CELLO_WRONG_TYPE", "JwtConfig", "secret", /string, bytes/],
  ["a short secret when strict", jwt({ secret: SHORT_SECRET, strict: true }), "CELLO_WEAK_SECRET", "JwtConfig", "secret", /32 bytes, got 11/],
  ["32 bytes for HS512 when strict", jwt({ secret: "x".repeat(32), algorithm: "HS512", strict: true }), "CELLO_WEAK_SECRET", "JwtConfig", "secret", /64 bytes, got 32/],
  ["a secret for RS256", jwt({ secret, algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /PEM/],
  ["a public key for HS256", jwt({ secret: rsa.publicKey }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /shared secret/],
  ["an EC key for RS256", jwt({ secret: p256.privateKey, algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /RSA/],
  ["an RSA key for ES256", jwt({ secret: rsa.privateKey, algorithm: "ES256" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /P-256|EC/],
  ["the curve of ES256 for ES384", jwt({ secret: p256.privateKey, algorithm: "ES384" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /P-384/],
  ["an RSA key of 1024 bits", jwt({ secret: smallRsa.privateKey, algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /2048/],
  ["PEM that is no key", jwt({ secret: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /PEM/],
  ["a JWK without its type", jwt({ secret: { k: SECRET } }), "CELLO_INVALID_VALUE", "JwtConfig", "secret", /not a key/],
  ["the algorithm none", jwt({ secret, algorithm: "none" }), "CELLO_INVALID_VALUE", "JwtConfig", "algorithm", /"HS256"/],
  ["an algorithm in small letters", jwt({ secret, algorithm: "hs256" }), "CELLO_INVALID_VALUE", "JwtConfig", "algorithm", /"HS256"/],
  ["a list of algorithms", jwt({ secret, algorithm: ["HS256"] }), "CELLO_INVALID_VALUE", "JwtConfig", "algorithm", /a list/],
  ["a misspelled field", jwt({ secret, expiratoin: 900 }), "CELLO_UNKNOWN_FIELD", "JwtConfig", "expiratoin", /did you mean "expiration"/],
  ["a field in snake case", jwt({ secret, header_name: "X" }), "CELLO_UNKNOWN_FIELD", "JwtConfig", "header_name", /did you mean "headerName"/],
  ["a field of another class", jwt({ secret, sameSite: "Lax" }), "CELLO_UNKNOWN_FIELD", "JwtConfig", "sameSite", /its fields are/],
  ["a session config for a token config", jwt(new SessionConfig({ secret })), "CELLO_UNKNOWN_FIELD", "JwtConfig", "maxAge", /its fields are/],
  ["an expiration of NaN", jwt({ secret, expiration: Number.NaN }), "CELLO_OUT_OF_RANGE", "JwtConfig", "expiration", /NaN/],
  ["an expiration of infinity", jwt({ secret, expiration: Number.POSITIVE_INFINITY }), "CELLO_OUT_OF_RANGE", "JwtConfig", "expiration", /Infinity/],
  ["an expiration of 0", jwt({ secret, expiration: 0 }), "CELLO_OUT_OF_RANGE", "JwtConfig", "expiration", /seconds/],
  ["a negative expiration", jwt({ secret, expiration: -900 }), "CELLO_OUT_OF_RANGE", "JwtConfig", "expiration", /-900/],
  ["an expiration as text", jwt({ secret, expiration: "15m" }), "CELLO_WRONG_TYPE", "JwtConfig", "expiration", /must be a number/],
  ["a bigint", jwt({ secret, expiration: 900n }), "CELLO_WRONG_TYPE", "JwtConfig", "expiration", /bigint/],
  ["a negative leeway", jwt({ secret, clockTolerance: -1 }), "CELLO_OUT_OF_RANGE", "JwtConfig", "clockTolerance", /-1/],
  ["an empty issuer", jwt({ secret, issuer: "" }), "CELLO_INVALID_VALUE", "JwtConfig", "issuer", /empty/],
  ["no issuer in the list", jwt({ secret, issuer: [] }), "CELLO_INVALID_VALUE", "JwtConfig", "issuer", /empty list/],
  ["an audience that is a number", jwt({ secret, audience: 7 }), "CELLO_WRONG_TYPE", "JwtConfig", "audience", /string/],
  ["a header name with a colon", jwt({ secret, headerName: "X-Token:" }), "CELLO_INVALID_VALUE", "JwtConfig", "headerName", /HTTP/],
  ["a line break in a header name", jwt({ secret, headerName: "X\r\nY" }), "CELLO_INVALID_VALUE", "JwtConfig", "headerName", /control/],
  ["a space in the scheme", jwt({ secret, headerPrefix: "Bearer " }), "CELLO_INVALID_VALUE", "JwtConfig", "headerPrefix", /HTTP/],
  ["a semicolon in a cookie name", jwt({ secret, cookieName: "a;b" }), "CELLO_INVALID_VALUE", "JwtConfig", "cookieName", /HTTP/],
  ["required as text", jwt({ secret, required: "false" }), "CELLO_WRONG_TYPE", "JwtConfig", "required", /without quotes/],
  ["required as 0", jwt({ secret, required: 0 }), "CELLO_WRONG_TYPE", "JwtConfig", "required", /true or false/],
  ["exclude as text", jwt({ secret, exclude: "/login" }), "CELLO_WRONG_TYPE", "JwtConfig", "exclude", /list of strings/],
  ["an excluded path without a slash", jwt({ secret, exclude: ["login"] }), "CELLO_INVALID_VALUE", "JwtConfig", "exclude", /begin with "\/"/],
  ["a star in the middle of a path", jwt({ secret, exclude: ["/a/*/b"] }), "CELLO_INVALID_VALUE", "JwtConfig", "exclude", /"\*" before its end/],
  ["a query in an excluded path", jwt({ secret, exclude: ["/a?b=c"] }), "CELLO_INVALID_VALUE", "JwtConfig", "exclude", /plain path/],
  ["dot segments in an excluded path", jwt({ secret, exclude: ["/a/../b"] }), "CELLO_INVALID_VALUE", "JwtConfig", "exclude", /plain path/],
  ["a pattern as RegExp", jwt({ secret, exclude: [/^\/login/] }), "CELLO_WRONG_TYPE", "JwtConfig", "exclude", /string/],
  ["a token length of 1.5", jwt({ secret, maxTokenLength: 8192.5 }), "CELLO_OUT_OF_RANGE", "JwtConfig", "maxTokenLength", /whole/],
  ["a cache without bound", jwt({ secret, cacheSize: Number.POSITIVE_INFINITY }), "CELLO_OUT_OF_RANGE", "JwtConfig", "cacheSize", /Infinity/],
  ["a jwksUri by http", jwt({ jwksUri: "http://example.com/jwks", algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "jwksUri", /https/],
  ["a jwksUri of a file", jwt({ jwksUri: "file:///etc/keys", algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "jwksUri", /https/],
  ["a jwksUri with a password", jwt({ jwksUri: `https://me:${SHORT_SECRET}@example.com/`, algorithm: "RS256" }), "CELLO_INVALID_VALUE", "JwtConfig", "jwksUri", /credentials/],
  ["a jwksUri beside a secret", jwt({ secret, jwksUri: "https://example.com/", algorithm: "RS256" }), "CELLO_CONFLICT", "JwtConfig", "jwksUri", /one of the two/],
  ["a jwksUri for HS256", jwt({ jwksUri: "https://example.com/" }), "CELLO_CONFLICT", "JwtConfig", "jwksUri", /RS256/],
  ["a cool-down without a jwksUri", jwt({ secret, jwksCooldown: 5 }), "CELLO_CONFLICT", "JwtConfig", "jwksCooldown", /no effect/],
  ["the address of a Redis for a store", jwt({ secret, store: "redis://me:password@host" }), "CELLO_WRONG_TYPE", "JwtConfig", "store", /revocations.* got a string;/],
  ["a store of sessions for tokens", jwt({ secret, store: new MemorySessionStore() }), "CELLO_WRONG_TYPE", "JwtConfig", "store", /RedisStore/],
  ["a store whose replay cannot claim", jwt({ secret, store: { revocations: new MemoryRevocationList(), replay: {} } }), "CELLO_WRONG_TYPE", "JwtConfig", "store", /must have/],
  ["counting tokens in memory without a store", jwt({ secret, onStoreError: "local" }), "CELLO_INVALID_VALUE", "JwtConfig", "onStoreError", /"deny", "allow"/],
  ["signing with a public key", () => new Jwt({ secret: rsa.publicKey, algorithm: "RS256" }).sign({}), "CELLO_CONFLICT", "JwtConfig", "secret", /private key/],

  // SessionConfig
  ["no secret", session({}), "CELLO_MISSING", "SessionConfig", "secret", /npx cello secret/],
  ["the secret in the place of options", session(SECRET), "CELLO_WRONG_TYPE", "SessionConfig", undefined, /got a string;/],
  ["an empty secret", session({ secret: "", strict: false }), "CELLO_WEAK_SECRET", "SessionConfig", "secret", /got 0/],
  ["an empty secret behind a good one", session({ secret: [secret, ""], strict: false }), "CELLO_WEAK_SECRET", "SessionConfig", "secret", /got 0/],
  ["a secret of an object", session({ secret: { value: SECRET } }), "CELLO_WRONG_TYPE", "SessionConfig", "secret", /string or bytes/],
  ["a short secret when strict", session({ secret: SHORT_SECRET, strict: true }), "CELLO_WEAK_SECRET", "SessionConfig", "secret", /32 bytes, got 11/],
  ["sameSite None without secure", session({ secret, sameSite: "None" }), "CELLO_CONFLICT", "SessionConfig", "sameSite", /secure: true/],
  ["sameSite in small letters", session({ secret, sameSite: "lax" }), "CELLO_INVALID_VALUE", "SessionConfig", "sameSite", /"Lax"/],
  ["partitioned without secure", session({ secret, partitioned: true }), "CELLO_CONFLICT", "SessionConfig", "partitioned", /secure: true/],
  ["__Host- without secure", session({ secret, cookieName: "__Host-id" }), "CELLO_CONFLICT", "SessionConfig", "cookieName", /__Host-/],
  ["__Host- with a domain", session({ secret, secure: true, domain: "example.com", cookieName: "__Host-id" }), "CELLO_CONFLICT", "SessionConfig", "cookieName", /no domain/],
  ["__Host- with a path", session({ secret, secure: true, path: "/app", cookieName: "__host-id" }), "CELLO_CONFLICT", "SessionConfig", "cookieName", /path/],
  ["__Secure- without secure", session({ secret, cookieName: "__Secure-id" }), "CELLO_CONFLICT", "SessionConfig", "cookieName", /__Secure-/],
  ["a cookie name with a space", session({ secret, cookieName: "session id" }), "CELLO_INVALID_VALUE", "SessionConfig", "cookieName", /cookie name/],
  ["a cookie name with a line break", session({ secret, cookieName: "a\r\nSet-Cookie: b" }), "CELLO_INVALID_VALUE", "SessionConfig", "cookieName", /control/],
  ["a path that begins an attribute", session({ secret, path: "/; Secure" }), "CELLO_INVALID_VALUE", "SessionConfig", "path", /";"/],
  ["a domain with a scheme", session({ secret, domain: "https://example.com" }), "CELLO_INVALID_VALUE", "SessionConfig", "domain", /host/],
  ["httponly and httpOnly at odds", session({ secret, httponly: true, httpOnly: false }), "CELLO_CONFLICT", "SessionConfig", "httpOnly", /opposite/],
  ["a maxAge of 0", session({ secret, maxAge: 0 }), "CELLO_OUT_OF_RANGE", "SessionConfig", "maxAge", /seconds/],
  ["a maxAge in milliseconds", session({ secret, maxAge: 86_400_000 }), "CELLO_OUT_OF_RANGE", "SessionConfig", "maxAge", /seconds/],
  ["an idle time longer than the lifetime", session({ secret, maxAge: 60, idleTimeout: 61 }), "CELLO_CONFLICT", "SessionConfig", "idleTimeout", /maxAge/],
  ["a negative idle time", session({ secret, idleTimeout: -5 }), "CELLO_OUT_OF_RANGE", "SessionConfig", "idleTimeout", /-5/],
  ["rolling as text", session({ secret, rolling: "yes" }), "CELLO_WRONG_TYPE", "SessionConfig", "rolling", /true or false/],
  ["a store without methods", session({ secret, store: { load() {} } }), "CELLO_WRONG_TYPE", "SessionConfig", "store", /lacks save, touch, delete/],
  ["a URL as store", session({ secret, store: `redis://:${SHORT_SECRET}@host` }), "CELLO_WRONG_TYPE", "SessionConfig", "store", /MemorySessionStore/],
  ["the class and not a store", session({ secret, store: MemorySessionStore }), "CELLO_WRONG_TYPE", "SessionConfig", "store", /a function/],
  ["a user key of nothing", session({ secret, userKey: "" }), "CELLO_INVALID_VALUE", "SessionConfig", "userKey", /empty/],
  ["a function for the user key", session({ secret, userKey: () => "u1" }), "CELLO_WRONG_TYPE", "SessionConfig", "userKey", /must be a string/],
  ["an unbounded store", store({ maxSessions: Number.POSITIVE_INFINITY }), "CELLO_OUT_OF_RANGE", "MemorySessionStore", "maxSessions", /Infinity/],
  ["a clock that is a number", store({ clock: 5 }), "CELLO_WRONG_TYPE", "MemorySessionStore", "clock", /wallMs/],

  // SecurityHeadersConfig
  ["hsts as text", headers({ hsts: "true" }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", "hsts", /without quotes/],
  ["a fraction of a second", headers({ hstsMaxAge: 1.5 }), "CELLO_OUT_OF_RANGE", "SecurityHeadersConfig", "hstsMaxAge", /whole/],
  ["preload for a day", headers({ hstsPreload: true, hstsMaxAge: 86_400 }), "CELLO_CONFLICT", "SecurityHeadersConfig", "hstsPreload", /31536000/],
  ["preload without subdomains", headers({ hstsPreload: true, hstsIncludeSubdomains: false }), "CELLO_CONFLICT", "SecurityHeadersConfig", "hstsPreload", /Subdomains/],
  ["preload without hsts", headers({ hstsPreload: true, hsts: false }), "CELLO_CONFLICT", "SecurityHeadersConfig", "hstsPreload", /hsts/],
  ["ALLOW-FROM", headers({ xFrameOptions: "ALLOW-FROM https://a.example" }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "xFrameOptions", /"DENY"/],
  ["a line break in a header", headers({ referrerPolicy: "no-referrer\r\nX: y" }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "referrerPolicy", /control/],
  ["an unknown referrer policy", headers({ referrerPolicy: "none" }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "referrerPolicy", /no-referrer/],
  ["a policy as text", headers({ csp: "default-src 'self'" }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", "csp", /new CSP\(\)/],
  ["an empty policy", headers({ csp: new CSP() }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "csp", /no directives/],
  ["a feature in camel case", headers({ permissionsPolicy: { pictureInPicture: [] } }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "permissionsPolicy", /picture-in-picture/],
  ["an unknown COOP", headers({ crossOriginOpenerPolicy: "same-site" }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "crossOriginOpenerPolicy", /same-origin/],
  ["an endpoint by http", headers({ reportingEndpoints: { a: "http://r.example/" } }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "reportingEndpoints", /https/],
  ["a removed header that is needed", headers({ removeHeaders: ["Content-Length"] }), "CELLO_INVALID_VALUE", "SecurityHeadersConfig", "removeHeaders", /Content-Length/],
  ["a removed header that is sent", headers({ removeHeaders: ["X-Frame-Options"] }), "CELLO_CONFLICT", "SecurityHeadersConfig", "removeHeaders", /xFrameOptions/],
  ["a misspelled field", headers({ xframeoption: "DENY" }), "CELLO_UNKNOWN_FIELD", "SecurityHeadersConfig", "xframeoption", /did you mean "xFrameOptions"/],
  ["a misspelled field of a preset", () => Reflect.apply(SecurityHeadersConfig.api, SecurityHeadersConfig, [{ hst: false }]), "CELLO_UNKNOWN_FIELD", "SecurityHeadersConfig", "hst", /"hsts"/],

  // CSP
  ["self without quotes", csp("defaultSrc", "self"), "CELLO_INVALID_VALUE", "CSP", "defaultSrc", /'self'/],
  ["none beside others", csp("scriptSrc", "'none'", "'self'"), "CELLO_CONFLICT", "CSP", "scriptSrc", /alone/],
  ["a semicolon", csp("imgSrc", "a.example; script-src *"), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /argument of its own|end the directive/],
  ["a comma", csp("imgSrc", "a.example,b.example"), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /end the directive/],
  ["a line break", csp("imgSrc", "a.example\r\nX: y"), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /control/],
  ["no sources", csp("imgSrc"), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /without a source/],
  ["a list of sources", csp("imgSrc", ["'self'"]), "CELLO_WRONG_TYPE", "CSP", "imgSrc", /argument of its own/],
  ["a nonce for images", csp("imgSrc", CSP.NONCE), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /scriptSrc/],
  ["an unknown hash", () => Reflect.apply(CSP.hash, CSP, ["x", "md5"]), "CELLO_INVALID_VALUE", "CSP", "hash", /sha256/],
  ["a change behind the back of a config", () => new SecurityHeadersConfig({ csp: new CSP().imgSrc("*") }).csp?.imgSrc("a.example"), "CELLO_INVALID_VALUE", "CSP", "imgSrc", /extend/],

  // RateLimitConfig
  ["no options", bucket(undefined), "CELLO_WRONG_TYPE", "RateLimitConfig", undefined, /tokenBucket\(\{/],
  ["no requests", bucket({ window: 60 }), "CELLO_MISSING", "RateLimitConfig", "requests", /required/],
  ["no window", sliding({ requests: 5 }), "CELLO_MISSING", "RateLimitConfig", "window", /required/],
  ["no requests a window", bucket({ requests: 0, window: 60 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "requests", /0 is/],
  ["half a request", bucket({ requests: 0.5, window: 60 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "requests", /whole/],
  ["a window of NaN", bucket({ requests: 1, window: Number.NaN }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "window", /NaN/],
  ["a window as text", sliding({ requests: 1, window: "1m" }), "CELLO_WRONG_TYPE", "RateLimitConfig", "window", /number/],
  ["a name with a line break", bucket({ requests: 1, window: 1, name: "a\r\nX: y" }), "CELLO_INVALID_VALUE", "RateLimitConfig", "name", /control/],
  ["a name outside ASCII", bucket({ requests: 1, window: 1, name: "grün" }), "CELLO_INVALID_VALUE", "RateLimitConfig", "name", /ASCII/],
  ["a key that is no function", bucket({ requests: 1, window: 1, key: "ip" }), "CELLO_WRONG_TYPE", "RateLimitConfig", "key", /function/],
  ["an unknown keyBy", bucket({ requests: 1, window: 1, keyBy: "user" }), "CELLO_INVALID_VALUE", "RateLimitConfig", "keyBy", /"identity"/],
  ["a cost above the limit", bucket({ requests: 5, window: 1, cost: 6 }), "CELLO_CONFLICT", "RateLimitConfig", "cost", /ever be admitted/],
  ["a negative cost", bucket({ requests: 5, window: 1, cost: -1 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "cost", /-1/],
  ["a store without methods", bucket({ requests: 5, window: 1, store: {} }), "CELLO_WRONG_TYPE", "RateLimitConfig", "store", /consume/],
  ["unknown headers", bucket({ requests: 5, window: 1, headers: "draft-7" }), "CELLO_INVALID_VALUE", "RateLimitConfig", "headers", /"standard"/],
  ["an unknown onStoreError", bucket({ requests: 5, window: 1, onStoreError: "ignore" }), "CELLO_INVALID_VALUE", "RateLimitConfig", "onStoreError", /"local"/],
  ["keys without bound", bucket({ requests: 5, window: 1, maxKeys: Number.POSITIVE_INFINITY }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "maxKeys", /Infinity/],
  ["a field of an adaptive limit", bucket({ requests: 5, window: 1, cpuThreshold: 0.5 }), "CELLO_UNKNOWN_FIELD", "RateLimitConfig", "cpuThreshold", /its fields are/],
  ["a threshold in percent", adaptive({ baseRequests: 5, window: 1, cpuThreshold: 80 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "cpuThreshold", /from 0.01 to 1/],
  ["a least limit above the base", adaptive({ baseRequests: 5, window: 1, minRequests: 6 }), "CELLO_CONFLICT", "RateLimitConfig", "minRequests", /baseRequests/],
  ["no room at all", adaptive({ baseRequests: 5, window: 1, maxConcurrency: 0 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "maxConcurrency", /from 1 to/],
  ["half a place", adaptive({ baseRequests: 5, window: 1, maxConcurrency: 1.5 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "maxConcurrency", /1.5/],
  ["a client without a share", adaptive({ baseRequests: 5, window: 1, maxConcurrency: 5, clientShare: 0 }), "CELLO_OUT_OF_RANGE", "RateLimitConfig", "clientShare", /0/],
  ["a share of nothing", adaptive({ baseRequests: 5, window: 1, clientShare: 0.5 }), "CELLO_CONFLICT", "RateLimitConfig", "clientShare", /maxConcurrency/],
  ["another word than auto", adaptive({ baseRequests: 5, window: 1, maxConcurrency: "all" }), "CELLO_WRONG_TYPE", "RateLimitConfig", "maxConcurrency", /"auto"/],
  ["a priority that nothing asks for", adaptive({ baseRequests: 5, window: 1, priority: () => "normal" }), "CELLO_CONFLICT", "RateLimitConfig", "priority", /maxConcurrency/],
  ["a priority that is no function", adaptive({ baseRequests: 5, window: 1, maxConcurrency: 5, priority: "critical" }), "CELLO_WRONG_TYPE", "RateLimitConfig", "priority", /function/],
  ["a health check without a slash", adaptive({ baseRequests: 5, window: 1, maxConcurrency: 5, healthChecks: ["up"] }), "CELLO_INVALID_VALUE", "RateLimitConfig", "healthChecks", /begin with/],
  ["shedding with a plain limit", bucket({ requests: 5, window: 1, maxConcurrency: 5 }), "CELLO_UNKNOWN_FIELD", "RateLimitConfig", "maxConcurrency", /its fields are/],
  ["requests of an adaptive limit", adaptive({ requests: 5, window: 1 }), "CELLO_UNKNOWN_FIELD", "RateLimitConfig", "requests", /baseRequests/],

  // CsrfConfig
  ["an origin with a path", csrf({ trustedOrigins: ["https://a.example/x"] }), "CELLO_INVALID_VALUE", "CsrfConfig", "trustedOrigins", /https:\/\/a\.example"/],
  ["an origin as text", csrf({ trustedOrigins: "https://a.example" }), "CELLO_WRONG_TYPE", "CsrfConfig", "trustedOrigins", /list/],
  ["any origin", csrf({ trustedOrigins: ["*"] }), "CELLO_INVALID_VALUE", "CsrfConfig", "trustedOrigins", /origin/],
  ["a misspelled field", csrf({ trustedOrigin: [] }), "CELLO_UNKNOWN_FIELD", "CsrfConfig", "trustedOrigin", /"trustedOrigins"/],

  // Security
  ["a misspelled field", security({ rateLimits: [] }), "CELLO_UNKNOWN_FIELD", "Security", "rateLimits", /"rateLimit"/],
  ["null for tokens", security({ jwt: null }), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /got null/],
  ["null for sessions", security({ session: null }), "CELLO_WRONG_TYPE", "SessionConfig", undefined, /got null/],
  ["false for headers", security({ securityHeaders: false }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", undefined, /got false/],
  ["an empty string for sessions", security({ session: "" }), "CELLO_WRONG_TYPE", "SessionConfig", undefined, /got a string/],
  ["null for CSRF", security({ csrf: null }), "CELLO_WRONG_TYPE", "CsrfConfig", undefined, /got null/],
  ["null for limits", security({ rateLimit: null }), "CELLO_WRONG_TYPE", "Security", "rateLimit", /tokenBucket/],
  ["a limit without its window", security({ rateLimit: { requests: 1 } }), "CELLO_MISSING", "RateLimitConfig", "window", /seconds/],
  ["two limits of one name", security({ rateLimit: [limit(), limit()] }), "CELLO_ALREADY_ENABLED", "RateLimitConfig", "name", /"default"/],
  ["trustProxy: true", security({ trustProxy: true }), "CELLO_WRONG_TYPE", "Security", "trustProxy", /name the proxies/],
  ["an IPv6 prefix of 0", security({ ipv6Prefix: 0 }), "CELLO_OUT_OF_RANGE", "Security", "ipv6Prefix", /bits/],
  ["a clock without hands", security({ clock: { wallMs: Date.now } }), "CELLO_WRONG_TYPE", "Security", "clock", /monotonicMs/],
  ["an emitter as events", security({ events: { on() {} } }), "CELLO_WRONG_TYPE", "Security", "events", /on\(\)/],

  // App
  ["null for options", application(null), "CELLO_WRONG_TYPE", "App", undefined, /got null/],
  ["trustProxy: true", application({ trustProxy: true }), "CELLO_WRONG_TYPE", "App", "trustProxy", /10\.0\.0\.0\/8/],
  ["a number of hops", application({ trustProxy: 1 }), "CELLO_WRONG_TYPE", "App", "trustProxy", /name the proxies/],
  ["a function of trust", application({ trustProxy: () => true }), "CELLO_WRONG_TYPE", "App", "trustProxy", /a function/],
  ["everybody trusted", application({ trustProxy: ["0.0.0.0/0"] }), "CELLO_INVALID_VALUE", "App", "trustProxy", /everybody/],
  ["every IPv6 address trusted", application({ trustProxy: "::/0" }), "CELLO_INVALID_VALUE", "App", "trustProxy", /everybody/],
  ["a proxy by host name", application({ trustProxy: ["proxy.internal"] }), "CELLO_INVALID_VALUE", "App", "trustProxy", /no address/],
  ["nobody in the list of proxies", application({ trustProxy: [] }), "CELLO_INVALID_VALUE", "App", "trustProxy", /empty list/],
  ["an IPv6 prefix of NaN", application({ ipv6Prefix: Number.NaN }), "CELLO_OUT_OF_RANGE", "App", "ipv6Prefix", /NaN/],
  ["a clock that is a function", application({ clock: Date.now }), "CELLO_WRONG_TYPE", "App", "clock", /wallMs/],
  ["a misspelled option", application({ trustproxy: ["10.0.0.0/8"] }), "CELLO_UNKNOWN_FIELD", "App", "trustproxy", /"trustProxy"/],
  ["tokens twice", enable("enableJwt", { secret }, { secret }), "CELLO_ALREADY_ENABLED", "App.enableJwt", undefined, /once/],
  ["sessions twice", enable("enableSession", { secret }, { secret }), "CELLO_ALREADY_ENABLED", "App.enableSession", undefined, /once/],
  ["headers twice", enable("enableSecurityHeaders", {}, {}), "CELLO_ALREADY_ENABLED", "App.enableSecurityHeaders", undefined, /once/],
  ["CSRF twice", enable("enableCsrf", {}, {}), "CELLO_ALREADY_ENABLED", "App.enableCsrf", undefined, /once/],
  ["two limits of one name", enable("enableRateLimit", limit(), limit()), "CELLO_ALREADY_ENABLED", "App.enableRateLimit", undefined, /own name/],
  ["an unknown algorithm", enable("enableRateLimit", { algorithm: "leaky", requests: 1, window: 1 }), "CELLO_INVALID_VALUE", "RateLimitConfig", "algorithm", /"token-bucket"/],
  ["a secret for enableJwt", enable("enableJwt", SHORT_SECRET), "CELLO_WRONG_TYPE", "JwtConfig", undefined, /got a string;/],
  ["a token config for sessions", enable("enableSession", new JwtConfig({ secret })), "CELLO_UNKNOWN_FIELD", "SessionConfig", "algorithm", /its fields are/],
  ["null for headers", enable("enableSecurityHeaders", null), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", undefined, /got null/],
  ["tokens asked for and not enabled", () => new App().jwt, "CELLO_NOT_ENABLED", "App.jwt", undefined, /enableJwt/],
  ["a limit asked for and not there", () => new App().rateLimit.peek("x"), "CELLO_NOT_ENABLED", "app.rateLimit", "name", /enable one/],

  // Routes
  ["auth: true", route({ auth: true }), "CELLO_INVALID_VALUE", "route GET /r", "auth", /"required", "optional", false/],
  ["auth: null", route({ auth: null }), "CELLO_INVALID_VALUE", "route GET /r", "auth", /null/],
  ["scopes as text", route({ scopes: "read" }), "CELLO_WRONG_TYPE", "route GET /r", "scopes", /list/],
  ["two scopes in one text", route({ scopes: ["read write"] }), "CELLO_INVALID_VALUE", "route GET /r", "scopes", /entry of its own/],
  ["a quote in a scope", route({ scopes: ['a"b'] }), "CELLO_INVALID_VALUE", "route GET /r", "scopes", /quotes/],
  ["a scope outside ASCII", route({ scopes: ["schön"] }), "CELLO_INVALID_VALUE", "route GET /r", "scopes", /ASCII/],
  ["a line break in a scope", route({ scopes: ["a\r\nX: y"] }), "CELLO_INVALID_VALUE", "route GET /r", "scopes", /control/],
  ["an empty role", route({ roles: [""] }), "CELLO_INVALID_VALUE", "route GET /r", "roles", /empty/],
  ["csrf as text", route({ csrf: "false" }), "CELLO_WRONG_TYPE", "route GET /r", "csrf", /true or false/],
  ["headers: null", route({ securityHeaders: null }), "CELLO_WRONG_TYPE", "route GET /r", "securityHeaders", /null/],
  ["a mistake in the headers of a route", route({ securityHeaders: { hsts: 1 } }), "CELLO_WRONG_TYPE", "SecurityHeadersConfig", "hsts", /true or false/],
  ["a misspelt field of a limit", route({ rateLimit: { request: 1, window: 1 } }), "CELLO_UNKNOWN_FIELD", "RateLimitConfig", "request", /"requests"/],
  ["rateLimit: true", route({ rateLimit: true }), "CELLO_WRONG_TYPE", "route GET /r", "rateLimit", /true/],
  ["two limits of one name", route({ rateLimit: [limit(), limit()] }), "CELLO_CONFLICT", "route GET /r", "rateLimit", /"default"/],
  ["scope for scopes", route({ scope: ["admin"] }), "CELLO_UNKNOWN_FIELD", "route GET /r", "scope", /"scopes"/],
  ["role for roles", route({ role: ["admin"] }), "CELLO_UNKNOWN_FIELD", "route GET /r", "role", /"roles"/],
  ["auht for auth", route({ auht: "required" }), "CELLO_UNKNOWN_FIELD", "route GET /r", "auht", /"auth"/],
  ["rateLimits for rateLimit", route({ rateLimits: limit() }), "CELLO_UNKNOWN_FIELD", "route GET /r", "rateLimits", /"rateLimit"/],
  ["scopes and auth: false", start({ scopes: ["a"], auth: false }, (app) => app.enableJwt({ secret })), "CELLO_CONFLICT", "route /r", "auth", /leave auth out/],
  ["scopes without tokens", start({ scopes: ["a"] }), "CELLO_NOT_ENABLED", "route /r", "scopes", /enableJwt/],
  ["roles without tokens", start({ roles: ["a"] }), "CELLO_NOT_ENABLED", "route /r", "roles", /enableJwt/],
  ["auth: required without tokens", start({ auth: "required" }), "CELLO_NOT_ENABLED", "route /r", "auth", /enableJwt/],
  ["scope for scopes in Express", () => Reflect.apply(celloExpress, undefined, [new Security({ jwt: { secret } }), { scope: ["a"] }]), "CELLO_UNKNOWN_FIELD", "route behind cello()", "scope", /"scopes"/],
  ["scopes without tokens in Hono", () => celloHono(new Security(), { scopes: ["a"] }), "CELLO_NOT_ENABLED", "route without a path", "scopes", /enableJwt/],
  ["a wrong auth in fetch", () => Reflect.apply(secure, undefined, [new Security({ jwt: { secret } }), () => new Response(), { auth: "none" }]), "CELLO_INVALID_VALUE", "route behind secure()", "auth", /"none"/],
];

async function errorOf(make: () => unknown): Promise<unknown> {
  try {
    await make();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("a wrong configuration", () => {
  it.each(rows)("$3: $0", async (_problem, make, code, subject, field, says) => {
    const error = await errorOf(make);
    if (!(error instanceof ConfigError)) return expect.fail(`threw ${String(error)}`);
    expect({ code: error.code, subject: error.subject, field: error.field }).toEqual({ code, subject, field });
    // Class.field: problem; mend
    const place = field === undefined ? subject : `${subject}.${field}`;
    expect(error.message.startsWith(`${place}: `)).toBe(true);
    expect(error.message.slice(place.length + 2)).toMatch(/^\S.+; \S.+$/s);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain(SECRET);
    expect(error.message).not.toContain(SHORT_SECRET);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a message goes to terminals and logs.
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe("after the first request", () => {
  it.each([
    ["enableJwt", { secret }],
    ["enableSession", { secret }],
    ["enableSecurityHeaders", {}],
    ["enableCsrf", {}],
    ["enableRateLimit", RateLimitConfig.tokenBucket({ name: "late", requests: 1, window: 1 })],
  ] as const)("%s is too late", async (method, config) => {
    const app = new App();
    app.get("/", () => "x");
    await app.inject("/");
    const error = await errorOf(() => Reflect.apply(Reflect.get(app, method), app, [config]));
    if (!(error instanceof ConfigError)) return expect.fail(`threw ${String(error)}`);
    expect(error).toMatchObject({ code: "CELLO_TOO_LATE", subject: `App.${method}` });
    await app.close();
  });
});
