import { inspect } from "node:util";
import { ConfigError } from "../core/errors.js";
import {
  describe,
  describeKind,
  Fields,
  fitting,
  flag,
  fn,
  integer,
  isBag,
  number,
  object,
  oneOf,
  optional,
  or,
  type Readers,
  read,
  required,
  type Settled,
  text,
} from "../core/options.js";
import { PathPatterns, paths } from "../core/path-patterns.js";
import type { HostRequest } from "../core/request-view.js";
import { strictStatics } from "../core/strict-calls.js";
import type { PriorityOf } from "../overload/shedder.js";
import type { RateLimitStore } from "./store.js";

/** The request as `key` and `cost` see it. */
export interface RateLimitRequest extends HostRequest {
  /** The verified claims, for limits with `keyBy: "identity"`; absent when there was no token. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** Says what a request is counted by; `undefined`: it is not limited. */
export type RateLimitKey = (request: RateLimitRequest) => string | undefined;

/** Says how many units a request takes: a whole number, 0 for none. */
export type RateLimitCost = (request: RateLimitRequest) => number;

/** Which header fields tell the client about its quota. */
export type RateLimitHeaders = "standard" | "legacy" | "both" | "none";

/** What to do while the store does not answer. */
export type OnStoreError = "local" | "allow" | "deny";

/** What all three algorithms take. */
export interface CommonRateLimitOptions {
  /** Seconds. */
  readonly window: number;
  /** The quota's name in headers, events and store keys. Default: `"default"`. */
  readonly name?: string | undefined;
  /** What a request is counted by. Default: the client's address, or the identity. */
  readonly key?: RateLimitKey | undefined;
  /** `"identity"`: counted by the verified `sub`, after authentication; by address without one. */
  readonly keyBy?: "client" | "identity" | undefined;
  /** Paths that are not limited: exact, or prefixes that end in `*`. */
  readonly exclude?: readonly string[] | undefined;
  /** Units that a request takes. Default: 1. */
  readonly cost?: number | RateLimitCost | undefined;
  /** Where the counts are kept. Default: in this process's memory. */
  readonly store?: RateLimitStore | undefined;
  /** Default: `"standard"`, that is `RateLimit-Policy` and `RateLimit`. */
  readonly headers?: RateLimitHeaders | undefined;
  /** Count and report, but never refuse. */
  readonly dryRun?: boolean | undefined;
  /** While the store fails: count in memory, admit all, or refuse all with 503. Default: `"local"`. */
  readonly onStoreError?: OnStoreError | undefined;
  /** Keys kept in memory; of more, those that used least are forgotten, blocked ones last. Default: a million. */
  readonly maxKeys?: number | undefined;
}

/** A limit of `requests` per `window`. */
export interface RateLimitOptions extends CommonRateLimitOptions {
  /** Units per window. */
  readonly requests: number;
}

/** A limit that goes down when the process is loaded, and up again. */
export interface AdaptiveRateLimitOptions extends CommonRateLimitOptions {
  /** Units per window without load. */
  readonly baseRequests: number;
  /** Units per window that are always granted. Default: 10. */
  readonly minRequests?: number | undefined;
  /** Share of the granted CPU above which the limit goes down. Default: 0.8. */
  readonly cpuThreshold?: number | undefined;
  /** Share of the memory limit above which the limit goes down. Default: 0.9. */
  readonly memoryThreshold?: number | undefined;
  /** Milliseconds of p95 latency above which the limit goes down. Default: 100. */
  readonly latencyThreshold?: number | undefined;
  /**
   * Requests in progress at a time; what is over it gets 503 before any work. `"auto"`: found from
   * latencies. Default: no such limit.
   */
  readonly maxConcurrency?: number | "auto" | undefined;
  /**
   * The share of those places that one client (one `key`) may hold, above 0 to 1. Default: 0.25, and at least
   * one place; 1 where `maxConcurrency` is a number below 8. 1 for a server with a single client.
   */
  readonly clientShare?: number | undefined;
  /** Who is refused first when there is no place for all. Default: all are `"normal"`. */
  readonly priority?: PriorityOf | undefined;
  /**
   * Paths that this limit never refuses, neither for its quota nor for `maxConcurrency`: exact, or prefixes
   * that end in `*`. Default: `/health`, `/healthz`, `/livez` and `/readyz`.
   */
  readonly healthChecks?: readonly string[] | undefined;
}

/** The three algorithms. */
export type RateLimitAlgorithm = "token-bucket" | "sliding-window" | "adaptive";

/** A limit as plain options, which name their algorithm; a token bucket when they do not. */
export type PlainRateLimitOptions =
  | (RateLimitOptions & { readonly algorithm?: "token-bucket" | "sliding-window" | undefined })
  | (AdaptiveRateLimitOptions & { readonly algorithm: "adaptive" });

const SUBJECT = "RateLimitConfig";
const ALGORITHMS: readonly RateLimitAlgorithm[] = ["token-bucket", "sliding-window", "adaptive"];
const MOST_REQUESTS = 1_000_000_000;
/** 31 days. */
const LONGEST_WINDOW = 2_678_400;
const DEFAULT_MIN_REQUESTS = 10;
const MOST_CONCURRENCY = 1_000_000;
const HEALTH_CHECKS = ["/health", "/healthz", "/livez", "/readyz"];

/** What a limit of each algorithm keeps of its options. */
type CommonValues = Settled<CommonRateLimitOptions, "key" | "store">;
/** What an adaptive limit keeps beside. */
type AdaptiveValues = Settled<
  Omit<AdaptiveRateLimitOptions, keyof CommonRateLimitOptions>,
  "maxConcurrency" | "clientShare" | "priority"
>;

const COMMON_READERS: Readers<CommonValues> = {
  window: required("say how many seconds the window lasts", number(0.001, LONGEST_WINDOW, "seconds", undefined)),
  name: fitting(
    text("default"),
    // It is a string of structured fields in headers, which are printable ASCII (RFC 9651 section 3.3.3).
    (name) => /^[\x20-\x7e]{1,128}$/.test(name),
    "cannot stand in a header",
    "give at most 128 printable ASCII characters",
  ),
  key: fn(),
  keyBy: oneOf(["client", "identity"], "client"),
  exclude: paths([]),
  cost: optional(1, (fields, name, value) =>
    typeof value === "function" ? (value as RateLimitCost) : integer(1, MOST_REQUESTS, "", 1)(fields, name),
  ),
  store: object<RateLimitStore>(
    ["consume", "peek", "reset"],
    "a store",
    "give a RateLimitStore, or leave the field out to count in memory",
  ),
  headers: oneOf(["standard", "legacy", "both", "none"], "standard"),
  dryRun: flag(false),
  onStoreError: oneOf(["local", "allow", "deny"], "local"),
  maxKeys: integer(1, 100_000_000, "keys", 1_000_000),
};

const readRequests = required(
  "say how many requests a window grants",
  integer(1, MOST_REQUESTS, "requests", undefined),
);

const FIXED_READERS: Readers<CommonValues & { readonly requests: number }> = {
  requests: readRequests,
  ...COMMON_READERS,
};

const ADAPTIVE_READERS: Readers<CommonValues & AdaptiveValues> = {
  baseRequests: readRequests,
  minRequests: (fields, name) => {
    const fallback = Math.min(DEFAULT_MIN_REQUESTS, readRequests(fields, "baseRequests"));
    return integer(1, MOST_REQUESTS, "requests", fallback)(fields, name);
  },
  cpuThreshold: number(0.01, 1, "", 0.8),
  memoryThreshold: number(0.01, 1, "", 0.9),
  latencyThreshold: number(0.1, 600_000, "milliseconds", 100),
  maxConcurrency: or("auto", optional(undefined, readMaxConcurrency)),
  clientShare: number(0.001, 1, "", undefined),
  priority: fn(),
  healthChecks: paths(HEALTH_CHECKS),
  ...COMMON_READERS,
};

/**
 * One limit: how many requests, in what time, counted by what.
 *
 * @example
 * ```ts
 * RateLimitConfig.tokenBucket({ requests: 100, window: 60 });
 * RateLimitConfig.slidingWindow({ name: "login", requests: 5, window: 300 });
 * RateLimitConfig.adaptive({ baseRequests: 100, window: 60, minRequests: 10 });
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns all that the tables read.
export class RateLimitConfig {
  private constructor(algorithm: RateLimitAlgorithm, options: unknown) {
    requireOptions(options);
    const values = algorithm === "adaptive" ? readAdaptive(options) : readFixed(options);
    Object.freeze(Object.assign(this, { algorithm, ...values, excludedPaths: new PathPatterns(values.exclude) }));
  }

  /**
   * A bucket of `requests` tokens that refills evenly in `window` seconds: bursts up to `requests`.
   *
   * @throws ConfigError when a field is unknown or wrong
   */
  static tokenBucket(options: RateLimitOptions): RateLimitConfig {
    return new RateLimitConfig("token-bucket", options);
  }

  /**
   * Never more than `requests` in any interval of `window` seconds.
   *
   * @throws ConfigError when a field is unknown or wrong
   */
  static slidingWindow(options: RateLimitOptions): RateLimitConfig {
    return new RateLimitConfig("sliding-window", options);
  }

  /**
   * A token bucket whose size follows the load of this process, between `minRequests` and
   * `baseRequests`.
   *
   * @throws ConfigError when a field is unknown or wrong
   */
  static adaptive(options: AdaptiveRateLimitOptions): RateLimitConfig {
    return new RateLimitConfig("adaptive", options);
  }

  /**
   * The config itself, or one made of plain options.
   *
   * @throws ConfigError when a field is unknown or wrong
   *
   * @example
   * ```ts
   * RateLimitConfig.from({ algorithm: "sliding-window", requests: 5, window: 300 });
   * ```
   */
  static from(given: RateLimitConfig | PlainRateLimitOptions): RateLimitConfig {
    if (given instanceof RateLimitConfig) return given;
    requireOptions(given);
    const { algorithm, ...options } = given;
    const named = read(SUBJECT, { algorithm }, { algorithm: oneOf(ALGORITHMS, "token-bucket") });
    return new RateLimitConfig(named.algorithm, options);
  }

  /** The fields, with functions and the store by name only: a store may hold an address with a password. */
  toJSON(): Record<string, unknown> {
    const { excludedPaths: _, healthCheckPaths: __, key, cost, store, priority, ...plain } = this;
    return {
      ...plain,
      priority: priority === undefined ? undefined : "[function]",
      key: key === undefined ? undefined : "[function]",
      cost: typeof cost === "function" ? "[function]" : cost,
      store: store === undefined ? undefined : `[${store.constructor?.name ?? "store"}]`,
    };
  }

  [inspect.custom](): string {
    return `RateLimitConfig ${inspect(this.toJSON())}`;
  }
}

export interface RateLimitConfig extends CommonValues, Partial<AdaptiveValues> {
  readonly algorithm: RateLimitAlgorithm;
  /** Units per window; of an adaptive limit those without load. */
  readonly requests: number;
  /** `exclude`, ready to be asked. */
  readonly excludedPaths: PathPatterns;
  /** `healthChecks` of an adaptive limit, ready to be asked. */
  readonly healthCheckPaths?: PathPatterns;
}

/**
 * Reads `rateLimit` of a policy or a route: one limit or several, as configs or plain options.
 *
 * @returns an empty list when not given
 */
export function readRateLimits(fields: Fields, name: string): readonly RateLimitConfig[] {
  const value = fields.given(name);
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((entry) => {
    if (typeof entry !== "object" || entry === null) {
      const problem = `must be a limit or a list of limits, got ${describe(entry)}`;
      fields.wrongType(name, problem, "write RateLimitConfig.tokenBucket({ requests, window })");
    }
    // What is in the object, `from` reads field by field.
    return RateLimitConfig.from(entry as PlainRateLimitOptions);
  });
}

function requireOptions(options: unknown): asserts options is object {
  if (isBag(options)) return;
  throw new ConfigError({
    code: "CELLO_WRONG_TYPE",
    subject: SUBJECT,
    problem: `takes an options object, got ${describeKind(options)}`,
    mend: "write RateLimitConfig.tokenBucket({ requests: 100, window: 60 })",
  });
}

function readFixed(options: object) {
  const fields = new Fields(SUBJECT, options, FIXED_READERS);
  checkCost(fields, fields.values);
  return fields.values;
}

function readAdaptive(options: object) {
  const fields = new Fields(SUBJECT, options, ADAPTIVE_READERS);
  const { baseRequests: requests, minRequests, maxConcurrency, healthChecks } = fields.values;
  checkCost(fields, { ...fields.values, requests });
  if (minRequests > requests) {
    const problem = `${minRequests} is more than baseRequests (${requests})`;
    fields.conflict("minRequests", problem, "give at most baseRequests");
  }
  const useless = maxConcurrency === undefined && ["clientShare", "priority"].find((name) => fields.has(name));
  if (useless) {
    const problem = "says who is refused for want of a place, and maxConcurrency is not given";
    fields.conflict(useless, problem, 'give maxConcurrency: "auto" too, or leave the field out');
  }
  return { requests, ...fields.values, healthCheckPaths: new PathPatterns(healthChecks) };
}

function checkCost(fields: Fields, { cost, requests }: Pick<RateLimitConfig, "cost" | "requests">): void {
  if (typeof cost !== "number" || cost <= requests) return;
  const problem = `${cost} is more than a window grants (${requests}), so nothing would ever be admitted`;
  fields.conflict("cost", problem, "give a smaller cost, or more requests");
}

function readMaxConcurrency(fields: Fields, name: string, value: unknown): number {
  if (typeof value === "number") return integer(1, MOST_CONCURRENCY, "requests", value)(fields, name);
  const problem = `must be a number of requests or "auto", got ${describe(value)}`;
  return fields.wrongType(name, problem, 'give "auto", which finds the number from latencies');
}

strictStatics(RateLimitConfig, {
  tokenBucket: "options",
  slidingWindow: "options",
  adaptive: "options",
  from: "options",
});
