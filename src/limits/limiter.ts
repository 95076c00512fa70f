import { ClientKeys } from "../client/key.js";
import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import { AdaptiveController } from "../overload/controller.js";
import type { GateLoad } from "../overload/gate.js";
import type { LoadMonitor, LoadSource } from "../overload/load.js";
import { LoadShedder } from "../overload/shedder.js";
import type { EventLoopTurns } from "../overload/turns.js";
import type { RateLimitConfig, RateLimitRequest } from "./config.js";
import { GuardedStore, type LimiterDecision } from "./guarded-store.js";
import { LimitFields, retryAfterSeconds } from "./header-fields.js";
import { createKeyedLimit } from "./memory/store.js";
import { quotaExceeded, type TemporaryRefusal } from "./refusals.js";
import type { KeyedLimit, RateLimitPolicy } from "./store.js";

/** What limits are compiled with. */
export interface LimiterParts {
  readonly clock: Clock;
  readonly events: EventHub;
  readonly load: LoadSource & GateLoad & Pick<LoadMonitor, "inFlight">;
  /** IPv6 clients are counted by this prefix, in bits. */
  readonly ipv6Prefix: number;
}

/** One configured limit, compiled: finds key and cost of a request, and asks memory or the store. */
export class RateLimiter {
  readonly fields: LimitFields;
  /** The answer when this limit alone refuses. */
  readonly quotaExceeded: TemporaryRefusal;
  /** Holds the limit in force; `undefined` unless the limit is adaptive. */
  readonly controller: AdaptiveController | undefined;
  /** Refuses what finds no place; `undefined` unless the limit has a `maxConcurrency`. */
  readonly shedder: LoadShedder | undefined;
  /** Counts in memory; `undefined` when a store counts. */
  readonly local: KeyedLimit | undefined;
  readonly #store: GuardedStore | undefined;
  readonly #events: EventHub;
  readonly #clientKeys: ClientKeys;
  readonly #turns: EventLoopTurns;
  readonly #warned = new Set<string>();

  /**
   * @param config the limit
   * @param parts clock, events, load and the IPv6 prefix
   * @param id what tells this limit from others in a store; the name when not given
   */
  constructor(
    readonly config: RateLimitConfig,
    parts: LimiterParts,
    id = config.name,
  ) {
    this.fields = new LimitFields(config);
    this.quotaExceeded = quotaExceeded([config.name]);
    this.#clientKeys = new ClientKeys(parts.ipv6Prefix);
    this.shedder = createShedder(config, parts, (view) => this.#clientOf(view));
    this.controller = createController(config, parts, this.shedder);
    this.#events = parts.events;
    this.#turns = parts.load.turns;
    const policy = createPolicy(config, id, this.controller);
    const { events, clock } = parts;
    this.local = config.store === undefined ? createKeyedLimit(policy, clock) : undefined;
    this.#store =
      config.store && new GuardedStore(config.store, policy, { onError: config.onStoreError, events, clock });
  }

  get name(): string {
    return this.config.name;
  }

  /** Whether the path decides whether a request is limited. */
  get readsPath(): boolean {
    const { excludedPaths, healthCheckPaths } = this.config;
    return !excludedPaths.isEmpty || healthCheckPaths?.isEmpty === false;
  }

  /**
   * Whether a path is not limited; one that cannot be decoded always is. An adaptive limit leaves health
   * checks alone: an orchestrator that is refused takes a busy process for a dead one.
   */
  excludes(path: string | undefined): boolean {
    if (path === undefined) return false;
    const { excludedPaths, healthCheckPaths } = this.config;
    return excludedPaths.matches(path) || healthCheckPaths?.matches(path) === true;
  }

  /** What a request is counted by; `undefined`: not at all. */
  keyOf(request: RateLimitRequest, clientIp: string, identity: string | undefined): string | undefined {
    const { key } = this.config;
    if (key !== undefined) return this.#ownKey(key, request, clientIp);
    if (this.config.keyBy === "client") return this.#clientKeys.of(clientIp);
    return identity === undefined ? this.#addressKey(clientIp) : identityKey(identity);
  }

  /** The key under which a client of this address, or an identity, is counted. */
  keyFor(clientOrIdentity: string): string {
    if (this.config.key !== undefined) return ownKey(clientOrIdentity);
    return this.config.keyBy === "client" ? this.#clientKeys.of(clientOrIdentity) : identityKey(clientOrIdentity);
  }

  /** How many units a request takes. */
  costOf(request: RateLimitRequest): number {
    const { cost } = this.config;
    if (typeof cost === "number") return cost;
    try {
      const answer: unknown = cost(request);
      if (typeof answer === "number" && Number.isSafeInteger(answer) && answer >= 0) return answer;
      disregard(answer);
      this.#warnOnce("CELLO_RATE_LIMIT_COST", `the cost function answered ${kindOf(answer)}; the request counted as 1`);
    } catch (error) {
      this.#warnOnce("CELLO_RATE_LIMIT_COST", `the cost function threw (${kindOf(error)}); the request counted as 1`);
    }
    return 1;
  }

  /** Takes from a key's quota. The load is followed by the time of the last arrival, which need not be read again. */
  consume(key: string, cost: number): MaybePromise<LimiterDecision> {
    this.controller?.refresh(this.#turns.latestMs);
    return this.local !== undefined ? this.local.consume(key, cost) : this.#guarded().consume(key, cost);
  }

  /** Takes from a key's quota, into debt where it is not enough. */
  charge(key: string, cost: number): MaybePromise<LimiterDecision> {
    this.controller?.refresh(this.#turns.latestMs);
    return this.local !== undefined ? this.local.charge(key, cost) : this.#guarded().charge(key, cost);
  }

  peek(key: string, cost = 1): MaybePromise<LimiterDecision> {
    this.controller?.refresh(this.#turns.latestMs);
    return this.local !== undefined ? this.local.peek(key, cost) : this.#guarded().peek(key, cost);
  }

  /**
   * Gives back what `consume` took, for a request that something else refused.
   *
   * @param taken what `consume` answered
   */
  giveBack(key: string, cost: number, taken: LimiterDecision): MaybePromise<unknown> {
    return this.local !== undefined ? this.local.giveBack(key, cost) : this.#guarded().giveBack(key, cost, taken);
  }

  /** Forgets what a key has used. */
  reset(key: string): MaybePromise<void> {
    return this.local !== undefined ? this.local.reset(key) : this.#guarded().reset(key);
  }

  /** Tells the controller and listeners of a refusal; the event is built only when there are any. */
  reportExceeded(view: RequestView, decision: LimiterDecision): void {
    if (decision.wasReduced) this.controller?.noteReduced();
    if (!this.#events.has("ratelimit.exceeded")) return;
    this.#events.emit("ratelimit.exceeded", {
      ...requestEvent(view),
      name: this.name,
      limit: decision.limit,
      retryAfter: retryAfterSeconds(decision),
      dryRun: this.config.dryRun,
    });
  }

  #guarded(): GuardedStore {
    if (this.#store === undefined) throw new TypeError("a limit counts in memory or in a store");
    return this.#store;
  }

  /** A key function that fails neither ends the request nor opens the limit: the address counts then. */
  #ownKey(
    key: (request: RateLimitRequest) => string | undefined,
    request: RateLimitRequest,
    clientIp: string,
  ): string | undefined {
    try {
      const answer: unknown = key(request);
      if (answer === undefined) return undefined;
      if (typeof answer === "string") return ownKey(answer);
      disregard(answer);
      this.#warnOnce(
        "CELLO_RATE_LIMIT_KEY",
        `the key function answered ${kindOf(answer)}; the client's address counted`,
      );
    } catch (error) {
      this.#warnOnce("CELLO_RATE_LIMIT_KEY", `the key function threw (${kindOf(error)}); the client's address counted`);
    }
    return this.#addressKey(clientIp);
  }

  /** Whom a place is counted for, before the limit was asked; who is not limited is counted by his address all the same. */
  #clientOf({ request, clientIp }: RequestView): string {
    return this.keyOf(request, clientIp, undefined) ?? this.#addressKey(clientIp);
  }

  #addressKey(clientIp: string): string {
    return `ip:${this.#clientKeys.of(clientIp)}`;
  }

  #warnOnce(code: string, message: string): void {
    if (this.#warned.has(code)) return;
    this.#warned.add(code);
    this.#events.emit("config.warning", { code, message: `rate limit "${this.name}": ${message}` });
  }
}

/*
 * Where addresses take the place of identities or of the application's own keys, each kind is marked,
 * so that nobody can be named like an address and use up its quota.
 */

function identityKey(identity: string): string {
  return `sub:${identity}`;
}

function ownKey(key: string): string {
  return `key:${key}`;
}

function createShedder(
  config: RateLimitConfig,
  parts: LimiterParts,
  clientOf: (view: RequestView) => string,
): LoadShedder | undefined {
  const { name, maxConcurrency, clientShare, latencyThreshold, priority, healthCheckPaths, excludedPaths, dryRun } =
    config;
  if (maxConcurrency === undefined || latencyThreshold === undefined || healthCheckPaths === undefined)
    return undefined;
  const exempt = [healthCheckPaths, excludedPaths];
  const when = { name, maxConcurrency, clientShare, latencyThresholdMs: latencyThreshold };
  return new LoadShedder({ ...when, clientOf, priority, exempt, dryRun }, parts);
}

function createController(
  config: RateLimitConfig,
  parts: LimiterParts,
  shedder: LoadShedder | undefined,
): AdaptiveController | undefined {
  const { minRequests, cpuThreshold, memoryThreshold, latencyThreshold } = config;
  if (
    minRequests === undefined ||
    cpuThreshold === undefined ||
    memoryThreshold === undefined ||
    latencyThreshold === undefined
  ) {
    return undefined;
  }
  const bounds = { baseRequests: config.requests, minRequests, cpuThreshold, memoryThreshold };
  const controllerParts = { ...parts, gate: shedder?.gate };
  return new AdaptiveController(config.name, { ...bounds, latencyThresholdMs: latencyThreshold }, controllerParts);
}

function createPolicy(
  config: RateLimitConfig,
  id: string,
  controller: AdaptiveController | undefined,
): RateLimitPolicy {
  return Object.freeze({
    id,
    name: config.name,
    algorithm: config.algorithm === "sliding-window" ? "sliding-window" : "token-bucket",
    requests: config.requests,
    windowMs: config.window * 1000,
    maxKeys: config.maxKeys,
    isAdaptive: controller !== undefined,
    get requestsInForce() {
      return controller?.limit ?? config.requests;
    },
  });
}

/** An async function answers with a promise, and if nobody waits for it, its rejection ends the process. */
function disregard(answer: unknown): void {
  if (answer instanceof Promise) answer.catch(() => {});
}

/** Names a value or an error without what is in it, which came from a request. */
function kindOf(value: unknown): string {
  if (value instanceof Error) return value.name;
  if (value instanceof Promise) return "a promise";
  return typeof value === "number" ? String(value) : value === null ? "null" : typeof value;
}
