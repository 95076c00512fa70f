import { ClientKeys } from "../client/key.js";
import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { Refusal } from "../core/problem.js";
import { type RequestView, requestEvent } from "../core/request-view.js";
import { type Cors, isPreflight } from "../cors/cors.js";
import { retryAfterSeconds } from "../limits/header-fields.js";
import { createMemoryCounts } from "../limits/memory/store.js";
import { quotaExceeded } from "../limits/refusals.js";
import type { MemoryCounts } from "../limits/store.js";
import type { Step } from "./pipeline.js";

/**
 * The step that meets preflights. A browser asks before it sends a request that a page of another origin
 * made, and sends no credentials with the question: it needs no token and takes no quota, only its own
 * bound. Anybody can send what looks like a preflight, so where it is not answered here it passes only where
 * no handler for other methods stands.
 *
 * @param cors answers them; `undefined`: somebody else in the host does
 */
export function meetPreflight(preflights: Preflights, cors: Cors | undefined): Step {
  return (passage) => {
    if (!isPreflight(passage.view)) return undefined;
    const refusal = preflights.refuse(passage.view);
    if (refusal !== undefined || cors !== undefined) return refusal ?? cors?.preflight(passage.view);
    passage.isPreflight = true;
    return undefined;
  };
}

const NAME = "preflight";
const MOST_CLIENTS = 100_000;

/**
 * Bounds what takes nothing from a client's quota: preflights. A browser sends them by itself, so they
 * must not use up what its user may do; and anybody can send them, so they must not come without end.
 *
 * In this process's memory, also where limits are shared: it protects the process, and no store is asked.
 */
export class Preflights {
  readonly #limit: MemoryCounts;
  readonly #keys: ClientKeys;
  readonly #events: EventHub;
  readonly #refusal = quotaExceeded([NAME]);

  /** @param perMinute preflights of one client; as many may come at once */
  constructor(perMinute: number, parts: { clock: Clock; events: EventHub; ipv6Prefix: number }) {
    this.#keys = new ClientKeys(parts.ipv6Prefix);
    this.#events = parts.events;
    const policy = {
      id: NAME,
      name: NAME,
      algorithm: "token-bucket",
      requests: perMinute,
      windowMs: 60_000,
      maxKeys: MOST_CLIENTS,
      isAdaptive: false,
      requestsInForce: perMinute,
    } as const;
    this.#limit = createMemoryCounts(policy, parts.clock);
  }

  /** Whether a browser asks with this request what it may send. */
  includes(view: RequestView): boolean {
    return isPreflight(view);
  }

  /** Counts a preflight; the refusal when its client has sent too many. */
  refuse(view: RequestView): Refusal | undefined {
    const decision = this.#limit.consume(this.#keys.of(view.clientIp), 1);
    if (decision.isAllowed) return undefined;
    const retryAfter = retryAfterSeconds(decision);
    if (this.#events.has("ratelimit.exceeded")) {
      const event = { ...requestEvent(view), name: NAME, limit: decision.limit, retryAfter, dryRun: false };
      this.#events.emit("ratelimit.exceeded", event);
    }
    return this.#refusal.after(retryAfter);
  }
}
