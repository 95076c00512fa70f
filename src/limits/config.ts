import { inspect } from "node:util";
import { ConfigError } from "../core/errors.js";
import { ConfigFields, describe, describeKind, type Fields, isBag } from "../core/options.js";
import { type PathPatterns, pathPatterns } from "../core/path-patterns.js";
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

const COMMON_FIELDS = [
  "window",
  "name",
  "key",
  "keyBy",
  "exclude",
  "cost",
  "store",
  "headers",
  "dryRun",
  "onStoreError",
  "maxKeys",
] as const;
const FIXED_FIELDS = ["requests", ...COMMON_FIELDS];
const ADAPTIVE_FIELDS = [
  "baseRequests",
  "minRequests",
  "cpuThreshold",
  "memoryThreshold",
  "latencyThreshold",
  "maxConcurrency",
  "clientShare",
  "priority",
  "healthChecks",
  ...COMMON_FIELDS,
];

const SUBJECT = "RateLimitConfig";
const ALGORITHMS = ["token-bucket", "sliding-window", "adaptive"] satisfies RateLimitAlgorithm[];
const MOST_REQUESTS = 1_000_000_000;
/** 31 days. */
const LONGEST_WINDOW = 2_678_400;
const DEFAULT_MIN_REQUESTS = 10;
const MOST_CONCURRENCY = 1_000_000;
const HEALTH_CHECKS = Object.freeze(["/health", "/healthz", "/livez", "/readyz"]);

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
export class RateLimitConfig {
  readonly algorithm: RateLimitAlgorithm;
  /** Units per window; of an adaptive limit those without load. */
  readonly requests: number;
  /** Seconds. */
  readonly window: number;
  readonly name: string;
  readonly key: RateLimitKey | undefined;
  readonly keyBy: "client" | "identity";
  readonly exclude: readonly string[];
  /** `exclude`, ready to be asked. */
  readonly excludedPaths: PathPatterns;
  readonly cost: number | RateLimitCost;
  readonly store: RateLimitStore | undefined;
  readonly headers: RateLimitHeaders;
  readonly dryRun: boolean;
  readonly onStoreError: OnStoreError;
  readonly maxKeys: number;
  /** The fields of an adaptive limit; `undefined` for the others. */
  readonly baseRequests: number | undefined;
  readonly minRequests: number | undefined;
  readonly cpuThreshold: number | undefined;
  readonly memoryThreshold: number | undefined;
  /** Milliseconds. */
  readonly latencyThreshold: number | undefined;
  /** Requests in progress at a time; `undefined` without such a limit. */
  readonly maxConcurrency: number | "auto" | undefined;
  /** What one client may hold of them; `undefined`: the default. */
  readonly clientShare: number | undefined;
  readonly priority: PriorityOf | undefined;
  readonly healthChecks: readonly string[] | undefined;
  /** `healthChecks`, ready to be asked. */
  readonly healthCheckPaths: PathPatterns | undefined;

  private constructor(algorithm: RateLimitAlgorithm, options: unknown) {
    const fields = readOptions(algorithm, options);
    const isAdaptive = algorithm === "adaptive";
    this.algorithm = algorithm;
    this.requests = readRequests(fields, isAdaptive ? "baseRequests" : "requests");
    this.window = readWindow(fields);
    this.name = readName(fields);
    this.key = fields.function<RateLimitKey>("key");
    this.keyBy = fields.oneOf("keyBy", ["client", "identity"], "client");
    this.excludedPaths = pathPatterns()(fields, "exclude");
    this.exclude = this.excludedPaths.patterns;
    this.cost = readCost(fields, this.requests);
    this.store = readStore(fields);
    this.headers = fields.oneOf("headers", ["standard", "legacy", "both", "none"], "standard");
    this.dryRun = fields.boolean("dryRun", false);
    this.onStoreError = fields.oneOf("onStoreError", ["local", "allow", "deny"], "local");
    this.maxKeys = fields.number("maxKeys", 1_000_000, { min: 1, max: 100_000_000, whole: true, unit: "keys" });
    this.baseRequests = isAdaptive ? this.requests : undefined;
    this.minRequests = isAdaptive ? readMinRequests(fields, this.requests) : undefined;
    this.cpuThreshold = isAdaptive ? fields.number("cpuThreshold", 0.8, { min: 0.01, max: 1 }) : undefined;
    this.memoryThreshold = isAdaptive ? fields.number("memoryThreshold", 0.9, { min: 0.01, max: 1 }) : undefined;
    this.latencyThreshold = isAdaptive
      ? fields.number("latencyThreshold", 100, { min: 0.1, max: 600_000, unit: "milliseconds" })
      : undefined;
    this.maxConcurrency = isAdaptive ? readMaxConcurrency(fields) : undefined;
    this.clientShare = isAdaptive ? readClientShare(fields) : undefined;
    this.priority = isAdaptive ? fields.function<PriorityOf>("priority") : undefined;
    this.healthCheckPaths = isAdaptive ? pathPatterns(HEALTH_CHECKS)(fields, "healthChecks") : undefined;
    this.healthChecks = this.healthCheckPaths?.patterns;
    Object.freeze(this);
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
    const named = new ConfigFields(SUBJECT, { algorithm }, ["algorithm"]);
    return new RateLimitConfig(named.oneOf("algorithm", ALGORITHMS, "token-bucket"), options);
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
    problem: `takes an options object, got ${describe(options)}`,
    mend: "write RateLimitConfig.tokenBucket({ requests: 100, window: 60 })",
  });
}

function readOptions(algorithm: RateLimitAlgorithm, options: unknown): ConfigFields {
  requireOptions(options);
  return new ConfigFields(SUBJECT, options, algorithm === "adaptive" ? ADAPTIVE_FIELDS : FIXED_FIELDS);
}

function readRequests(fields: ConfigFields, field: "requests" | "baseRequests"): number {
  fields.require(field, "say how many requests a window grants");
  return fields.number(field, 0, { min: 1, max: MOST_REQUESTS, whole: true, unit: "requests" });
}

function readWindow(fields: ConfigFields): number {
  fields.require("window", "say how many seconds the window lasts");
  return fields.number("window", 0, { min: 0.001, max: LONGEST_WINDOW, unit: "seconds" });
}

function readMinRequests(fields: ConfigFields, baseRequests: number): number {
  const fallback = Math.min(DEFAULT_MIN_REQUESTS, baseRequests);
  const minRequests = fields.number("minRequests", fallback, {
    min: 1,
    max: MOST_REQUESTS,
    whole: true,
    unit: "requests",
  });
  if (minRequests > baseRequests) {
    fields.fail(
      "CELLO_CONFLICT",
      "minRequests",
      `${minRequests} is more than baseRequests (${baseRequests})`,
      "give at most baseRequests",
    );
  }
  return minRequests;
}

function readMaxConcurrency(fields: ConfigFields): number | "auto" | undefined {
  const value = fields.raw("maxConcurrency");
  if (value === "auto") return value;
  if (value !== undefined) {
    if (typeof value !== "number") {
      fields.fail(
        "CELLO_WRONG_TYPE",
        "maxConcurrency",
        `must be a number of requests or "auto", got ${describe(value)}`,
        'give "auto", which finds the number from latencies',
      );
    }
    return fields.number("maxConcurrency", 1, { min: 1, max: MOST_CONCURRENCY, whole: true, unit: "requests" });
  }
  for (const field of ["clientShare", "priority"]) {
    if (fields.raw(field) === undefined) continue;
    fields.fail(
      "CELLO_CONFLICT",
      field,
      "says who is refused for want of a place, and maxConcurrency is not given",
      'give maxConcurrency: "auto" too, or leave the field out',
    );
  }
  return undefined;
}

function readClientShare(fields: ConfigFields): number | undefined {
  if (fields.raw("clientShare") === undefined) return undefined;
  return fields.number("clientShare", 1, { min: 0.001, max: 1 });
}

/** The name is a string of structured fields in headers, which are printable ASCII (RFC 9651 section 3.3.3). */
function readName(fields: ConfigFields): string {
  const name = fields.string("name", "default");
  if (!/^[\x20-\x7e]{1,128}$/.test(name)) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "name",
      "cannot stand in a header",
      "give at most 128 printable ASCII characters",
    );
  }
  return name;
}

function readCost(fields: ConfigFields, requests: number): number | RateLimitCost {
  if (typeof fields.raw("cost") === "function") return fields.function<RateLimitCost>("cost") ?? 1;
  const cost = fields.number("cost", 1, { min: 1, max: MOST_REQUESTS, whole: true });
  if (cost > requests) {
    fields.fail(
      "CELLO_CONFLICT",
      "cost",
      `${cost} is more than a window grants (${requests}), so nothing would ever be admitted`,
      "give a smaller cost, or more requests",
    );
  }
  return cost;
}

function readStore(fields: ConfigFields): RateLimitStore | undefined {
  const store = fields.raw("store");
  if (store === undefined) return undefined;
  if (!isStore(store)) {
    fields.fail(
      "CELLO_WRONG_TYPE",
      "store",
      `must have the methods consume, peek and reset, got ${describeKind(store)}`,
      "give a RateLimitStore, or leave the field out to count in memory",
    );
  }
  return store;
}

function isStore(value: unknown): value is RateLimitStore {
  return (
    typeof value === "object" &&
    value !== null &&
    ["consume", "peek", "reset"].every((method) => typeof Reflect.get(value, method) === "function")
  );
}

strictStatics(RateLimitConfig, {
  tokenBucket: "options",
  slidingWindow: "options",
  adaptive: "options",
  from: "options",
});
