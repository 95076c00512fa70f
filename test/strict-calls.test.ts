import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  App,
  ConfigError,
  CSP,
  Jwt,
  JwtConfig,
  MemorySessionStore,
  RateLimitConfig,
  Security,
  SecurityHeadersConfig,
  SessionConfig,
} from "cello";
import * as express from "cello/express";
import * as fastify from "cello/fastify";
import * as fetchHost from "cello/fetch";
import * as hono from "cello/hono";
import * as jws from "cello/jws";
import * as metrics from "cello/metrics";
import * as redis from "cello/redis";
import * as testing from "cello/testing";
import Fastify from "fastify";
import { describe, expect, it } from "vitest";
import { callOf } from "../src/core/strict-calls.js";
import * as main from "../src/index.js";

const entries: Readonly<Record<string, object>> = {
  ".": main,
  "./express": express,
  "./fastify": fastify,
  "./fetch": fetchHost,
  "./hono": hono,
  "./jws": jws,
  "./metrics": metrics,
  "./redis": redis,
  "./testing": testing,
};

/** What is no call of an application, each with the reason why it takes what comes. */
const exempt: Readonly<Record<string, string>> = {
  toJSON: "JSON.stringify calls it with a key",
  cello: "of cello/fastify: Fastify calls it, with the instance, the options and a callback",
  default: "the same",
  compileRoute: "hosts call it when a route is registered",
  admit: "hosts call it for each request",
  admitFurther: "the same",
  isPreflight: "the same",
  boundPreflight: "the same",
  forRoute: "the policy calls it",
  close: "of the limits: Security.close calls it",
};

/** Stores are called by the pipeline, as their interfaces say: what stands in those is checked by their types. */
const storeClasses = [
  main.MemoryRateLimitStore,
  main.MemoryReplayStore,
  main.MemoryRevocationList,
  main.MemorySessionStore,
  redis.RedisSessionStore,
  redis.RedisStore,
];

/** Thrown by Cello, made by nobody else; each says what it takes in its type. */
const errors = [main.ConfigError, main.SessionTooLargeError, main.StoreUnavailableError, main.TokenError, jws.JwsError];

type AnyFunction = (...given: unknown[]) => unknown;

const isFunction = (value: unknown): value is AnyFunction => typeof value === "function";
const isClass = (value: AnyFunction) => /^class\b/.test(Function.prototype.toString.call(value));
const isOneOf = (list: readonly unknown[], value: unknown) => list.includes(value);

/** The methods that an object or class has by itself, getters and symbols aside. */
function methodsOf(owner: object): [string, AnyFunction][] {
  return Object.entries(Object.getOwnPropertyDescriptors(owner)).flatMap(
    ([name, { value }]): [string, AnyFunction][] =>
      name !== "constructor" && isFunction(value) && !isClass(value) ? [[name, value]] : [],
  );
}

async function anApp() {
  const app = new App();
  app.enableJwt({ secret: randomBytes(32) });
  app.enableSession({ secret: randomBytes(32), store: new MemorySessionStore() });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 5, window: 1 }));
  let session: object = {};
  app.get("/", { auth: false }, (request) => {
    session = request.session;
    return "x";
  });
  await app.inject("/");
  return { app, session };
}

/** Every function that an application can get hold of: exports, their methods, and those of what an App hands out. */
async function everyFunction(): Promise<[string, AnyFunction][]> {
  const { app, session } = await anApp();
  const found: [string, AnyFunction][] = [];
  const note = (place: string, methods: readonly [string, AnyFunction][]) => {
    for (const [name, method] of methods) if (!Object.hasOwn(exempt, name)) found.push([`${place}.${name}`, method]);
  };
  for (const [entry, exported] of Object.entries(entries)) {
    for (const [name, value] of Object.entries(exported)) {
      if (!isFunction(value)) continue;
      if (!isClass(value)) {
        if (!(entry === "./fastify" && Object.hasOwn(exempt, name))) found.push([`${entry} ${name}`, value]);
        continue;
      }
      if (isOneOf(errors, value)) continue;
      note(name, methodsOf(value));
      if (!isOneOf(storeClasses, value)) note(name, methodsOf(value.prototype));
    }
  }
  for (const [name, object] of Object.entries({ rateLimit: app.rateLimit, sessions: app.sessions, session })) {
    note(name, methodsOf(Object.getPrototypeOf(object)));
  }
  note("app", methodsOf(app));
  return found;
}

/** How a call failed: thrown or rejected. */
async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

const functions = await everyFunction();

describe("every public function", () => {
  it("is found by this test", () => {
    const manifest: { exports: object } = JSON.parse(readFileSync("package.json", "utf8"));
    const subpaths = Object.keys(manifest.exports).filter((path) => path !== "./package.json");
    expect(Object.keys(entries).sort()).toEqual(subpaths.sort());
    expect(functions.length).toBeGreaterThan(70);
  });

  // CSP's methods for directives take any number of sources, and check each.
  const fixed = functions.filter(([place]) => !/^CSP\.(?!hash|lint|build|toString|extend|snapshot)/.test(place));

  it.each(fixed)("refuses an argument too many: %s", async (_place, work) => {
    const call = callOf(work);
    expect(call, "it is not in a table of strictMethods, nor a strictFunction").toBeDefined();
    const error = await failureOf(() => Reflect.apply(work, undefined, [...Array(20).fill(undefined), "too many"]));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringMatching(/ takes (no|one|\d+) arguments?, got 21; write /));
  });

  const withOptions = fixed.filter(([, work]) => callOf(work)?.includes("{") === true);

  it.each(withOptions)("refuses an option that it does not have: %s", async (_place, work) => {
    const before = (callOf(work) ?? "").split("{")[0]?.split(",").length ?? 1;
    const given = [...Array(before - 1).fill(undefined), { noSuchOption: 1 }];
    const error = await failureOf(() => Reflect.apply(work, undefined, given));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringContaining('has no option "noSuchOption"; write '));
  });
});

describe("every public class", () => {
  const classes = Object.values(entries)
    .flatMap((entry) => Object.entries(entry))
    .filter(
      (entry): entry is [string, new (...given: unknown[]) => unknown] => isFunction(entry[1]) && isClass(entry[1]),
    )
    .filter(([, made]) => !isOneOf(errors, made) && made.name !== "RateLimitConfig");

  it.each(classes)("refuses an argument too many: %s", (_name, made) => {
    expect(() => Reflect.construct(made, [...Array(20).fill(undefined), "too many"])).toThrow(TypeError);
  });

  it.each(classes.filter(([name]) => !["App", "CSP", "EventHub"].includes(name)))(
    "refuses an option that it does not have: %s",
    (_name, made) => {
      expect(() => Reflect.construct(made, [{ noSuchOption: 1 }])).toThrow(
        expect.objectContaining({ name: "ConfigError", code: "CELLO_UNKNOWN_FIELD" }),
      );
    },
  );
});

describe("a call that would be understood by somebody else", () => {
  const jwt = new Jwt({ secret: randomBytes(32) });
  const token = jwt.sign({ sub: "u1" }, { jti: true });
  const call = (method: keyof Jwt, ...given: unknown[]) => Reflect.apply(Object(jwt[method]), jwt, given);

  it.each<[string, () => unknown, string]>([
    [
      "verify with an audience",
      () => call("verify", token, { audience: "me" }),
      "Jwt.verify takes one argument, got 2; write verify(token); issuer, audience, clockTolerance, algorithm and keys are set once, in JwtConfig",
    ],
    ["verify with a secret", () => call("verify", token, "another secret"), "Jwt.verify takes one argument, got 2"],
    [
      "verifyAsync with an audience",
      () => call("verifyAsync", token, { audience: "me" }),
      "are set once, in JwtConfig",
    ],
    [
      "sign with expiresIn",
      () => call("sign", {}, { expiresIn: "15m" }),
      'Jwt.sign has no option "expiresIn"; write sign(claims, { expiration, jti, header }) (its options are expiration, jti, header); expiration is a number of seconds',
    ],
    ["sign with a near miss", () => call("sign", {}, { expirration: 5 }), 'did you mean "expiration"?'],
    ["sign with a secret", () => call("sign", {}, "secret"), 'takes its options as an object, got "secret"'],
    [
      "revoke with a token",
      () => call("revoke", token),
      "Jwt.revoke: got a token, which nobody verified; write revoke(jwt.verify(token))",
    ],
    ["revoke with nothing", () => call("revoke"), "the claims have no jti"],
    [
      "revoke with an expiry that is a date",
      () => call("revoke", "id", new Date()),
      "expiresAt must be a number of seconds",
    ],
    ["revoke with a time span", () => call("revoke", "id", 900), "is long past, nothing would be revoked"],
    ["revoke as a list is gone through", () => call("revoke", "id", 0), "give seconds since 1970"],
    ["revokeAll with a token", () => call("revokeAll", token), "write revokeAll(jwt.verify(token).sub)"],
    ["useOnce with a token", () => call("useOnce", token), "the claims have no jti"],
    [
      "new Jwt with a misspelt clock",
      () => Reflect.construct(Jwt, [{ secret: randomBytes(32) }, { clok: 1 }]),
      'new Jwt has no option "clok"; write new Jwt(config, { clock, events, revocations }) (did you mean "clock"?)',
    ],
    ["new CSP with a policy", () => Reflect.construct(CSP, ["default-src 'self'"]), "new CSP takes no argument, got 1"],
    [
      "an event that does not exist",
      () => Reflect.apply(App.prototype.on, new App(), ["token.rejectd", () => {}]),
      'there is no event "token.rejectd"; did you mean "token.rejected"?',
    ],
    [
      "listen with a misspelt port",
      () => Reflect.apply(App.prototype.listen, new App(), [{ prot: 8000 }]),
      'has no option "prot"; write listen({ port, host,',
    ],
    [
      "listen with a number",
      () => Reflect.apply(App.prototype.listen, new App(), [8000]),
      "takes its options as an object, got 8000",
    ],
    [
      "sign with claims that nobody waited for",
      () => call("sign", Promise.resolve({ sub: "u1" })),
      "got an object (Promise)",
    ],
    ["sign with a Map of claims", () => call("sign", new Map([["sub", "u1"]])), "got an object (Map)"],
    ["sign with a date", () => call("sign", {}, new Date()), "takes its options as an object, got an object (Date)"],
    ["sign with a Map of options", () => call("sign", {}, new Map([["expiration", 5]])), "got an object (Map)"],
    [
      "revokeAll with a Set of exceptions",
      () => {
        const app = new App().enableSession({ secret: randomBytes(32), store: new MemorySessionStore() });
        return Reflect.apply(app.sessions.revokeAll, app.sessions, ["u1", new Set(["the one to keep"])]);
      },
      "got an object (Set)",
    ],
    [
      "consume with a promise",
      () => {
        const { rateLimit } = new App().enableRateLimit({ requests: 5, window: 1 });
        return Reflect.apply(rateLimit.consume, rateLimit, ["key", 1, Promise.resolve({ debt: true })]);
      },
      "is neither a name nor options",
    ],
  ])("throws a TypeError that names the right one: %s", async (_name, work, message) => {
    const error = await failureOf(work);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringContaining(message));
  });

  it("never shows the secret or the token in it", async () => {
    for (const given of [
      [token, "a secret of somebody"],
      [token, { audience: token }],
    ]) {
      const error = await failureOf(() => call("verify", ...given));
      expect(String(error)).not.toContain(token);
      expect(String(error)).not.toContain("somebody");
    }
  });

  it.each([
    ["cello/express", () => Reflect.apply(express.cello, undefined, [new Security(), { rols: ["admin"] }])],
    ["cello/hono", () => Reflect.apply(hono.cello, undefined, [new Security(), { peer: 1 }])],
    ["cello/fetch", () => Reflect.apply(fetchHost.secure, undefined, [new Security(), () => {}, { onEror: 1 }])],
    ["cello/fastify", async () => Fastify().register(fastify.cello, Object({ security: new Security(), auth: false }))],
    ["cello/fastify", async () => Fastify().register(fastify.cello, Object({}))],
  ])("is a ConfigError where middleware gets an option that does not exist: %s", async (_name, work) => {
    expect(await failureOf(work)).toBeInstanceOf(ConfigError);
  });

  it("does not hit options that are an instance of a class, with getters and methods", () => {
    class Settings {
      get expiration() {
        return 5;
      }
      get hsts() {
        return false;
      }
      reload() {}
    }
    const { iat, exp } = jwt.verify(jwt.sign({}, new Settings()));
    expect(Number(exp) - Number(iat)).toBe(5);
    for (const config of [new SecurityHeadersConfig(new Settings()), SecurityHeadersConfig.api(new Settings())]) {
      expect(config.hsts).toBe(false);
    }
  });

  it("does not hit arguments that are not given, nor what Fastify adds for its plugins", async () => {
    expect(Reflect.apply(jwt.verify, jwt, [token, undefined])).toMatchObject({ sub: "u1" });
    expect(jwt.sign({}, undefined)).toContain(".");
    await Fastify().register(fastify.cello, Object({ security: new Security(), prefix: "/x", logLevel: "warn" }));
    expect(() => new JwtConfig({ secret: randomBytes(32) })).not.toThrow();
    expect(() => new SessionConfig({ secret: randomBytes(32) })).not.toThrow();
  });
});
