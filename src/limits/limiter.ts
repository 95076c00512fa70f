import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import type { LoadMonitor } from "../overload/load.js";
import { AdaptiveController } from "../overload/rate-controller.js";
import { LoadShedder } from "../overload/shedder.js";
import type { RateLimitConfig } from "./config.js";
import { GuardedStore } from "./guarded-store.js";
import { LimitFields, retryAfterSeconds } from "./header-fields.js";
import { RequestKeys } from "./keys.js";
import { createMemoryCounts } from "./memory/store.js";
import { quotaExceeded, type TemporaryRefusal } from "./refusals.js";
import type { Decision, MemoryCounts, RateLimitPolicy } from "./store.js";

/** What limits are compiled with. */
export interface LimiterParts {
  readonly clock: Clock;
  readonly events: EventHub;
  readonly load: LoadMonitor;
  /** IPv6 clients are counted by this prefix, in bits. */
  readonly ipv6Prefix: number;
}

/** One configured limit, compiled. */
export class RateLimiter {
  readonly name: string;
  /** Finds key and cost of a request. */
  readonly keys: RequestKeys;
  readonly fields: LimitFields;
  /** The answer when this limit alone refuses. */
  readonly quotaExceeded: TemporaryRefusal;
  /** Holds the limit in force; `undefined` unless the limit is adaptive. */
  readonly controller: AdaptiveController | undefined;
  /** Refuses what finds no place; `undefined` unless the limit has a `maxConcurrency`. */
  readonly shedder: LoadShedder | undefined;
  /** Whether the path decides whether a request is limited. */
  readonly readsPath: boolean;
  readonly counts: MemoryCounts | GuardedStore;
  readonly #parts: LimiterParts;

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
    const { name, store, excludedPaths, healthCheckPaths, onStoreError } = config;
    this.name = name;
    this.keys = new RequestKeys(config, parts.events, parts.ipv6Prefix);
    this.fields = new LimitFields(config);
    this.quotaExceeded = quotaExceeded([name]);
    this.shedder = createShedder(config, this.keys, parts);
    this.controller = createController(config, parts, this.shedder);
    this.readsPath = !excludedPaths.isEmpty || healthCheckPaths?.isEmpty === false;
    const policy = createPolicy(config, id, this.controller);
    this.counts =
      store === undefined
        ? createMemoryCounts(policy, parts.clock)
        : new GuardedStore(store, policy, { ...parts, onError: onStoreError });
    this.#parts = parts;
  }

  /** Puts the limit in force that the load allows now, by the time of the last arrival: it need not be read again. */
  followLoad(): void {
    this.controller?.refresh(this.#parts.load.turns.latestMs);
  }

  /**
   * Whether a path is not limited. An adaptive limit leaves health checks alone: an orchestrator that is refused
   * takes a busy process for a dead one.
   */
  excludes(path: string): boolean {
    const { excludedPaths, healthCheckPaths } = this.config;
    return excludedPaths.matches(path) || healthCheckPaths?.matches(path) === true;
  }

  /** Tells the controller and listeners of a refusal; the event is built only when there are any. */
  reportExceeded(view: RequestView, decision: Decision): void {
    if (decision.wasReduced) this.controller?.noteReduced();
    const { events } = this.#parts;
    if (!events.has("ratelimit.exceeded")) return;
    events.emit("ratelimit.exceeded", {
      ...requestEvent(view),
      name: this.name,
      limit: decision.limit,
      retryAfter: retryAfterSeconds(decision),
      dryRun: this.config.dryRun,
    });
  }
}

function createShedder(config: RateLimitConfig, keys: RequestKeys, parts: LimiterParts): LoadShedder | undefined {
  const { name, maxConcurrency, clientShare, latencyThreshold, priority, healthCheckPaths, excludedPaths, dryRun } =
    config;
  if (maxConcurrency === undefined || latencyThreshold === undefined || healthCheckPaths === undefined)
    return undefined;
  // A request that is not limited is counted by its address all the same.
  const clientOf = ({ request, clientIp }: RequestView) =>
    keys.keyOf(request, clientIp, undefined) ?? keys.addressKey(clientIp);
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
