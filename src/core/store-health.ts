import { type Clock, systemClock } from "./clock.js";
import type { EventHub, SecurityEvents, StoreErrorCause } from "./events.js";

/** A store that fails again so soon after it recovered is not well yet, in milliseconds. */
const RELAPSE_MS = 5000;
/** How long such a store must be without failure before it counts as recovered, in milliseconds. */
const QUIET_MS = 1000;

/**
 * Whether a store answers; each change is told once, as `store.error` and `store.recovered`.
 *
 * The first answer after a failure is a recovery. Where failures and answers alternate (one node of a
 * Cluster is down, or answers take as long as the deadline) the store counts as down until none has
 * failed for a second: else each request would be told.
 */
export class StoreHealth {
  readonly #kind: SecurityEvents["store.error"]["store"];
  readonly #events: EventHub;
  readonly #clock: Clock;
  #isDown = false;
  #failedAtMs = 0;
  #recoveredAtMs = Number.NEGATIVE_INFINITY;
  #isRelapse = false;

  constructor(kind: SecurityEvents["store.error"]["store"], events: EventHub, clock: Clock = systemClock) {
    this.#kind = kind;
    this.#events = events;
    this.#clock = clock;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** The store failed to answer. */
  failed(error: unknown, cause = causeOf(error)): void {
    const now = this.#clock.monotonicMs();
    this.#failedAtMs = now;
    if (this.#isDown) return;
    this.#isDown = true;
    this.#isRelapse = now - this.#recoveredAtMs < RELAPSE_MS;
    const message = error instanceof Error ? error.message : String(error);
    this.#events.emit("store.error", { store: this.#kind, message, ...(cause === undefined ? {} : { cause }) });
  }

  /** The store answered. */
  answered(): void {
    if (!this.#isDown) return;
    const now = this.#clock.monotonicMs();
    if (this.#isRelapse && now - this.#failedAtMs < QUIET_MS) return;
    this.#isDown = false;
    this.#recoveredAtMs = now;
    this.#events.emit("store.recovered", { store: this.#kind });
  }
}

const CAUSES: readonly StoreErrorCause[] = ["deadline", "busy", "connection", "refused"];

/** What a store's error says about itself in `storeCause`; an answer of Redis that is an error is a refusal. */
export function causeOf(error: unknown): StoreErrorCause | undefined {
  if (!(error instanceof Error)) return undefined;
  const said: unknown = "storeCause" in error ? error.storeCause : undefined;
  return CAUSES.find((cause) => cause === said) ?? (error.name === "ReplyError" ? "refused" : undefined);
}
