import {
  ConfigError,
  CorsConfig,
  CSP,
  CsrfConfig,
  JwtConfig,
  MemoryRateLimitStore,
  MemorySessionStore,
  RateLimitConfig,
  SecurityHeadersConfig,
  SessionConfig,
} from "cello";
import { afterEach, describe, expect, it, vi } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";

/** Each configuration with only what it must be given, and the documented default of every other field. */
const defaults: readonly (readonly [string, object, Readonly<Record<string, unknown>>])[] = [
  [
    "JwtConfig",
    new JwtConfig({ secret }),
    {
      secret,
      algorithm: "HS256",
      expiration: 3600,
      issuer: undefined,
      headerName: "Authorization",
      headerPrefix: "Bearer",
      audience: undefined,
      clockTolerance: 0,
      cookieName: undefined,
      required: true,
      exclude: [],
      maxTokenLength: 8192,
      jwksUri: undefined,
      requireExpiration: true,
      strict: false,
      typ: undefined,
      cacheSize: 10_000,
      store: undefined,
      onStoreError: "deny",
    },
  ],
  [
    "SessionConfig",
    new SessionConfig({ secret }),
    {
      secret: [new TextEncoder().encode(secret)],
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
      partitioned: false,
      strict: false,
    },
  ],
  [
    "SecurityHeadersConfig",
    new SecurityHeadersConfig(),
    {
      hsts: true,
      hstsMaxAge: 31_536_000,
      hstsIncludeSubdomains: true,
      hstsPreload: false,
      xFrameOptions: "DENY",
      xContentTypeOptions: true,
      xXssProtection: true,
      referrerPolicy: "strict-origin-when-cross-origin",
      csp: undefined,
      cspReportOnly: undefined,
      permissionsPolicy: undefined,
      crossOriginOpenerPolicy: undefined,
      crossOriginEmbedderPolicy: undefined,
      crossOriginResourcePolicy: undefined,
      originAgentCluster: undefined,
      dnsPrefetchControl: undefined,
      downloadOptions: undefined,
      permittedCrossDomainPolicies: undefined,
      reportingEndpoints: undefined,
      removeHeaders: ["X-Powered-By", "Server"],
    },
  ],
  ...(["tokenBucket", "slidingWindow"] as const).map(
    (algorithm) =>
      [
        `RateLimitConfig.${algorithm}`,
        RateLimitConfig[algorithm]({ requests: 100, window: 60 }),
        { ...commonLimit(), requests: 100, window: 60 },
      ] as const,
  ),
  [
    "RateLimitConfig.adaptive",
    RateLimitConfig.adaptive({ baseRequests: 100, window: 60 }),
    {
      ...commonLimit(),
      baseRequests: 100,
      window: 60,
      cpuThreshold: 0.8,
      memoryThreshold: 0.9,
      latencyThreshold: 100,
      minRequests: 10,
    },
  ],
  [
    "CorsConfig",
    new CorsConfig({ origins: "https://spa.example" }),
    {
      origins: ["https://spa.example"],
      credentials: false,
      methods: ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"],
      allowedHeaders: undefined,
      exposedHeaders: [],
      maxAge: 600,
      privateNetwork: false,
      preflightsPerMinute: 600,
    },
  ],
  ["CsrfConfig", new CsrfConfig(), { trustedOrigins: [] }],
];

function commonLimit() {
  return {
    name: "default",
    key: undefined,
    exclude: [],
    cost: 1,
    store: undefined,
    headers: "standard",
    dryRun: false,
    onStoreError: "local",
    maxKeys: 1_000_000,
  };
}

const names = defaults.map(([name]) => name);

describe.each(defaults)("%s", (_name, config, fields) => {
  it.each(Object.entries(fields))("has the documented default of %s", (field, value) => {
    expect(Reflect.get(config, field)).toEqual(value);
  });

  it("is frozen, with its lists", () => {
    expect(Object.isFrozen(config)).toBe(true);
    for (const [field, value] of Object.entries(config)) {
      expect(() => Object.assign(config, { [field]: value })).toThrow(TypeError);
      if (Array.isArray(value)) expect(Object.isFrozen(value)).toBe(true);
    }
    expect(() => Object.assign(config, { invented: true })).toThrow(TypeError);
  });
});

describe("every configuration", () => {
  it.each(names)("%s takes undefined for not given", (name) => {
    const fields = defaults.find(([other]) => other === name)?.[2] ?? {};
    const nothing = Object.fromEntries(Object.keys(fields).map((field) => [field, undefined]));
    const make = makers[name];
    expect(make).toBeDefined();
    const config = make?.(nothing) ?? {};
    for (const [field, value] of Object.entries(fields)) expect(Reflect.get(config, field)).toEqual(value);
  });
});

const makers: Readonly<Record<string, (options: object) => object>> = {
  JwtConfig: (options) => new JwtConfig({ ...options, secret }),
  SessionConfig: (options) => new SessionConfig({ ...options, secret }),
  SecurityHeadersConfig: (options) => new SecurityHeadersConfig(options),
  "RateLimitConfig.tokenBucket": (options) => RateLimitConfig.tokenBucket({ ...options, requests: 100, window: 60 }),
  "RateLimitConfig.slidingWindow": (options) =>
    RateLimitConfig.slidingWindow({ ...options, requests: 100, window: 60 }),
  "RateLimitConfig.adaptive": (options) => RateLimitConfig.adaptive({ ...options, baseRequests: 100, window: 60 }),
  CorsConfig: (options) => new CorsConfig({ ...options, origins: "https://spa.example" }),
  CsrfConfig: (options) => new CsrfConfig(options),
};

describe("fields that were given", () => {
  it("are readable under their names, as copies", () => {
    const exclude = ["/login"];
    const config = new JwtConfig({
      secret,
      issuer: ["a", "b"],
      audience: "c",
      exclude,
      cacheSize: 0,
      headerPrefix: "",
    });
    exclude.push("/everything");
    expect(config).toMatchObject({ issuer: ["a", "b"], audience: "c", exclude: ["/login"], cacheSize: 0 });
    expect(config.headerPrefix).toBe("");
  });

  it("take the other spelling of httponly", () => {
    expect(new SessionConfig({ secret, httpOnly: false })).toMatchObject({ httponly: false, httpOnly: false });
    expect(new SessionConfig({ secret, httponly: false })).toMatchObject({ httponly: false, httpOnly: false });
  });

  it("keep a policy as it was then", () => {
    const csp = new CSP().defaultSrc("'self'");
    const config = new SecurityHeadersConfig({ csp });
    csp.scriptSrc("*");
    expect(config.csp?.toString()).toBe("default-src 'self'");
  });

  it("hold a secret that changing the given bytes does not change", () => {
    const bytes = new TextEncoder().encode(secret);
    const config = new SessionConfig({ secret: bytes });
    bytes.fill(0);
    config.secret[0]?.fill(0);
    expect(config.secret).toEqual([new TextEncoder().encode(secret)]);
  });

  it("hold stores", () => {
    const sessions = new MemorySessionStore();
    expect(new SessionConfig({ secret, store: sessions }).store).toBe(sessions);
    const counts = new MemoryRateLimitStore();
    expect(RateLimitConfig.tokenBucket({ requests: 1, window: 1, store: counts }).store).toBe(counts);
  });
});

describe("a limit that grants less than the least of an adaptive one", () => {
  it("is its own least", () => {
    expect(RateLimitConfig.adaptive({ baseRequests: 4, window: 1 }).minRequests).toBe(4);
  });
});

describe("in production", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("a short secret is refused, unless strict is false", () => {
    vi.stubEnv("NODE_ENV", "production");
    expect(new JwtConfig({ secret }).strict).toBe(true);
    expect(new SessionConfig({ secret }).strict).toBe(true);
    for (const make of [() => new JwtConfig({ secret: "short" }), () => new SessionConfig({ secret: "short" })]) {
      expect(make).toThrow(ConfigError);
      expect(make).toThrow(/needs at least 32 bytes, got 5/);
    }
    expect(new JwtConfig({ secret: "short", strict: false }).strict).toBe(false);
  });
});
