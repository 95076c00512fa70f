import { ConfigError } from "../core/errors.js";
import type { MaybePromise } from "../core/later.js";
import { describe, describeKind, isBag } from "../core/options.js";
import { strictMethods } from "../core/strict-calls.js";
import type { GateState } from "../overload/concurrency-gate.js";
import type { LoadSnapshot } from "../overload/load.js";
import type { AdaptationReason } from "../overload/rate-control-law.js";
import type { RateLimitConfig } from "./config.js";
import { type LimiterParts, RateLimiter } from "./limiter.js";
import type { Decision, RateLimitStore } from "./store.js";
import { type RateLimitState, rateLimitState } from "./verdict.js";

/** One adaptive limit as it stands. */
export interface AdaptiveLimitState {
  readonly name: string;
  /** Units per window in force. */
  readonly limit: number;
  /** Units per window without load. */
  readonly baseLimit: number;
  /** What moved the limit last. */
  readonly reason: AdaptationReason;
  /** Requests in progress, and how many are let in; `undefined` without `maxConcurrency`. */
  readonly concurrency: GateState | undefined;
}

/** The load of this process, and what the adaptive limits made of it. */
export interface RateLimitLoad extends LoadSnapshot {
  readonly limits: readonly AdaptiveLimitState[];
}

/** How `app.rateLimit.consume` takes. */
export interface ConsumeOptions {
  /** The limit's name. Default: `"default"`. */
  readonly name?: string | undefined;
  /**
   * Charge the whole cost even if the quota has less, because the work is done already: the key owes the rest,
   * at most another quota, and is refused until that is paid back. Default: a cost that is not there takes nothing.
   */
  readonly debt?: boolean | undefined;
}

/**
 * All limits of an application, and `app.rateLimit`: what a key has left, using some of it from code,
 * and forgetting it.
 *
 * A key is what the limit counts by: for the default an address, for `keyBy: "identity"` a `sub`.
 */
export class RateLimits {
  /** The limits of the whole application. */
  readonly limiters: readonly RateLimiter[];
  /** Whether any limit follows the load. */
  isAdaptive = false;
  readonly #parts: LimiterParts;
  readonly #byName = new Map<string, RateLimiter>();
  readonly #byConfig = new Map<RateLimitConfig, RateLimiter>();
  readonly #ids = new Set<string>();

  /**
   * @throws ConfigError when two limits have one name
   */
  constructor(configs: readonly RateLimitConfig[], parts: LimiterParts) {
    this.#parts = parts;
    this.limiters = Object.freeze(configs.map((config) => this.#addApplicationLimit(config)));
  }

  /**
   * The limits of a route: the application's, where one of the route with the same name takes its
   * place, and the route's others. A config object that stands in several routes is one limit with one
   * count, so that the HEAD route that belongs to a GET route has no quota of its own.
   *
   * @param configs the route's own limits
   * @param route the pattern of the route, for the ids of its limits in a store
   * @throws ConfigError when two of the route's own limits have one name
   */
  forRoute(configs: readonly RateLimitConfig[], route: string): readonly RateLimiter[] {
    for (const [index, { name }] of configs.entries()) {
      if (configs.findIndex((other) => other.name === name) !== index) throw nameTwice(name);
    }
    const own = configs.map((config) => this.#byConfig.get(config) ?? this.#addRouteLimit(config, route));
    const rest = this.limiters.filter((limiter) => !own.some((other) => other.name === limiter.name));
    return Object.freeze([...rest, ...own]);
  }

  /**
   * What a key has left, without using any of it.
   *
   * @param name the limit's name; `"default"` when not given
   * @throws ConfigError when no limit has this name
   */
  peek(key: string, name?: string): MaybePromise<RateLimitState> {
    const limiter = this.#named(name);
    return stateOf(limiter, limiter.counts.peek(limiter.keys.keyFor(requireKey("peek", key)), 1));
  }

  /**
   * Uses some of a key's quota, for work that is no request. What the quota has not takes nothing, unless
   * it is charged into debt; then `isAllowed` tells whether the quota had it all.
   *
   * @param cost a whole number from 0
   * @param options the limit's name, or how to take
   * @throws TypeError when an argument is wrong, or the limit's store cannot charge into debt
   * @throws ConfigError when no limit has this name
   */
  consume(key: string, cost = 1, options: string | ConsumeOptions = {}): MaybePromise<RateLimitState> {
    const { name, debt } = readConsumeOptions(options);
    const limiter = this.#named(name);
    if (!Number.isSafeInteger(cost) || cost < 0) {
      throw new TypeError(`rateLimit.consume: a cost is a whole number from 0, got ${describe(cost)}`);
    }
    const ownKey = limiter.keys.keyFor(requireKey("consume", key));
    return stateOf(limiter, debt ? limiter.counts.charge(ownKey, cost) : limiter.counts.consume(ownKey, cost));
  }

  /** Forgets what a key has used, for example after a successful login. */
  reset(key: string, name?: string): MaybePromise<void> {
    const limiter = this.#named(name);
    return limiter.counts.reset(limiter.keys.keyFor(requireKey("reset", key)));
  }

  /** The stores of the limits, each once. */
  get stores(): ReadonlySet<RateLimitStore> {
    return new Set([...this.#byConfig.keys()].flatMap(({ store }) => store ?? []));
  }

  /** Closes the stores of the limits. */
  async close(): Promise<void> {
    for (const store of this.stores) await store.close?.();
  }

  /** The load of this process now, with the adaptive limits. */
  get load(): RateLimitLoad {
    const limits: AdaptiveLimitState[] = [];
    for (const { controller, config, shedder } of this.#byConfig.values()) {
      if (controller === undefined) continue;
      controller.refresh();
      const limit = Math.floor(controller.limit);
      const concurrency = shedder?.gate.state;
      limits.push({ name: config.name, limit, baseLimit: config.requests, reason: controller.reason, concurrency });
    }
    const { load } = this.#parts;
    // A sample is good enough to control by; who looks wants to see what is so.
    return { ...load.snapshot(), inFlight: load.inFlight, limits };
  }

  #addApplicationLimit(config: RateLimitConfig): RateLimiter {
    if (this.#byName.has(config.name)) throw nameTwice(config.name);
    return this.#add(config, config.name);
  }

  #addRouteLimit(config: RateLimitConfig, route: string): RateLimiter {
    const id = `${config.name} ${route}`;
    let unique = id;
    // Two methods of one path: numbered in the order of registration, which is the same everywhere.
    for (let number = 2; this.#ids.has(unique); number++) unique = `${id} ${number}`;
    return this.#add(config, unique);
  }

  #add(config: RateLimitConfig, id: string): RateLimiter {
    const limiter = new RateLimiter(config, this.#parts, id);
    this.#ids.add(id);
    this.#byConfig.set(config, limiter);
    this.isAdaptive ||= limiter.controller !== undefined;
    // The application's limits come first and keep their names.
    if (!this.#byName.has(config.name)) this.#byName.set(config.name, limiter);
    return limiter;
  }

  /** The limit of this name as it is now; without requests nobody else has it follow the load. */
  #named(name = "default"): RateLimiter {
    const limiter = this.#byName.get(name);
    limiter?.controller?.refresh();
    if (limiter !== undefined) return limiter;
    const names = [...this.#byName.keys()].map((known) => `"${known}"`).join(", ");
    throw new ConfigError({
      code: "CELLO_NOT_ENABLED",
      subject: "app.rateLimit",
      field: "name",
      problem: `no limit is named "${name}"`,
      mend: names === "" ? "enable one at start-up" : `name one of ${names}`,
    });
  }
}

/** Clients could not tell the two apart, nor `app.rateLimit`. */
function nameTwice(name: string): ConfigError {
  return new ConfigError({
    code: "CELLO_ALREADY_ENABLED",
    subject: "RateLimitConfig",
    field: "name",
    problem: `two limits are named "${name}"`,
    mend: "give each limit its own name",
  });
}

function requireKey(method: string, key: unknown): string {
  if (typeof key === "string") return key;
  throw new TypeError(`rateLimit.${method}: a key is a string, got ${describeKind(key)}`);
}

function readConsumeOptions(options: unknown): { readonly name: string | undefined; readonly debt: boolean } {
  if (typeof options === "string") return { name: options, debt: false };
  const mend = 'write consume(key, cost, "name") or consume(key, cost, { name, debt: true })';
  if (!isBag(options)) {
    throw new TypeError(`rateLimit.consume: ${describeKind(options)} is neither a name nor options; ${mend}`);
  }
  const { name, debt = false, ...unknown }: Record<string, unknown> = { ...options };
  const [first] = Object.keys(unknown);
  if (first !== undefined) throw new TypeError(`rateLimit.consume: there is no option "${first}"; ${mend}`);
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`rateLimit.consume: name is a string, got ${describeKind(name)}; ${mend}`);
  }
  if (typeof debt !== "boolean") {
    throw new TypeError(`rateLimit.consume: debt is true or false, got ${describeKind(debt)}; ${mend}`);
  }
  return { name, debt };
}

strictMethods(RateLimits, {
  peek: "key, name",
  consume: "key, cost, name | { name, debt }",
  reset: "key, name",
});

function stateOf(limiter: RateLimiter, decision: MaybePromise<Decision>): MaybePromise<RateLimitState> {
  if (decision instanceof Promise) return decision.then((settled) => rateLimitState(limiter, settled));
  return rateLimitState(limiter, decision);
}
