import { inspect } from "node:util";
import { isPromiseLike } from "./later.js";
import { describe } from "./options.js";
import { suggestion } from "./spelling.js";
import { strictConstruction, strictMethods } from "./strict-calls.js";

/** The circumstances of an event. Never contains a token, a cookie, a session id or a secret. */
export interface RequestEvent {
  /** The host's id of the request (Fastify's `request.id`). */
  readonly requestId: string;
  /** The client's address as `trustProxy` allows to know it. */
  readonly clientIp: string;
  readonly method: string;
  /** The path without the query (which may carry secrets). */
  readonly path: string;
}

/** Why a token was refused: for operators only, clients get one answer for all. */
export type TokenRejection =
  | "malformed"
  | "too_long"
  | "duplicate_header"
  | "algorithm"
  | "unknown_key"
  | "signature"
  | "critical_header"
  | "embedded_key"
  | "type"
  | "claims"
  | "expired"
  | "not_yet_valid"
  | "issued_in_future"
  | "no_expiration"
  | "issuer"
  | "audience"
  | "revoked"
  | "keys_unavailable"
  | "revocations_unavailable";

/** Why a session cookie was not accepted. */
export type SessionRejection = "malformed" | "signature" | "expired" | "idle" | "unknown";

/** What a store is for: `revocation` and `replay` are those of tokens. */
export type StoreName = "session" | "rate-limit" | "revocation" | "replay" | "jwks";

/**
 * Why a store failed, where it says so: it did not answer in time (`deadline`); nor did it while this
 * process was busy, so that it may be well (`busy`); there is no connection (`connection`); it answered that
 * it will not (`refused`).
 */
export type StoreErrorCause = "deadline" | "busy" | "connection" | "refused";

/** Each security event and what it carries. */
export interface SecurityEvents {
  "token.rejected": RequestEvent & { readonly reason: TokenRejection };
  "ratelimit.exceeded": RequestEvent & {
    /** The `name` of the limit. */
    readonly name: string;
    readonly limit: number;
    readonly retryAfter: number;
    /** `true`: the limit only counts and the request went on. */
    readonly dryRun: boolean;
  };
  "ratelimit.shed": RequestEvent & {
    /** The `name` of the limit. */
    readonly name: string;
    readonly priority: "critical" | "normal" | "background";
    /** `"places"`: all were taken; `"client"`: this client held its share of them. */
    readonly reason: "places" | "client";
    /** Requests in progress that were let in at that moment. */
    readonly limit: number;
    /** `true`: the limit only counts and the request went on. */
    readonly dryRun: boolean;
  };
  "ratelimit.adapted": {
    readonly name: string;
    readonly limit: number;
    readonly previousLimit: number;
    /** Which signal moved the limit. */
    readonly reason: "cpu" | "event-loop" | "memory" | "latency" | "shedding" | "recovery";
    /** CPU use of this process, 0 to 1 of what it may use. */
    readonly cpu: number;
    /** Share of time in which the event loop did not sleep, 0 to 1. */
    readonly eventLoopUtilization: number;
    /** How late the event loop is, in milliseconds. */
    readonly eventLoopDelayMs: number;
    /** Memory in use, 0 to 1 of its limit. */
    readonly memory: number;
    /** 95th percentile of the last second's latencies, in milliseconds. */
    readonly latencyMs: number;
    /** Requests that have come and are not answered yet. */
    readonly inFlight: number;
    /** Milliseconds that the event loop needs for the requests in flight. */
    readonly backlogMs: number;
    /** Share of the last second's requests that `maxConcurrency` had no place for, 0 to 1. */
    readonly shedShare: number;
  };
  "session.created": RequestEvent;
  "session.regenerated": RequestEvent;
  "session.destroyed": RequestEvent;
  "session.rejected": RequestEvent & { readonly reason: SessionRejection };
  "csrf.rejected": RequestEvent & { readonly origin: string | undefined; readonly secFetchSite: string | undefined };
  "store.error": {
    readonly store: StoreName;
    readonly message: string;
    readonly cause?: StoreErrorCause | undefined;
  };
  "store.recovered": { readonly store: StoreName };
  "config.warning": { readonly code: string; readonly message: string };
}

export type SecurityEventName = keyof SecurityEvents;
export type SecurityEventListener<Name extends SecurityEventName> = (event: SecurityEvents[Name]) => void;

/** The names of all events. */
export const SECURITY_EVENT_NAMES: readonly SecurityEventName[] = Object.freeze([
  "token.rejected",
  "ratelimit.exceeded",
  "ratelimit.shed",
  "ratelimit.adapted",
  "session.created",
  "session.regenerated",
  "session.destroyed",
  "session.rejected",
  "csrf.rejected",
  "store.error",
  "store.recovered",
  "config.warning",
]);

type AnyListener = (event: never) => unknown;

/** Warnings that are kept for a listener that comes later. */
const MAX_KEPT_WARNINGS = 32;

/**
 * Hands security events to their listeners, in the order in which they were added.
 *
 * A listener that throws, or whose promise is rejected, does not fail the request: the error becomes a
 * process warning. What a listener gets is frozen, because the next one gets the same.
 */
export class EventHub {
  readonly #listeners: { [Name in SecurityEventName]?: readonly AnyListener[] | undefined } = {};
  /** Doubts about the configuration come up before anybody can listen: the first listener gets them. */
  #keptWarnings: SecurityEvents["config.warning"][] = [];

  constructor() {
    strictConstruction("new EventHub()", arguments);
  }

  /**
   * Adds a listener; one that is added twice is called twice, as with Node's `EventEmitter`.
   *
   * @throws TypeError for an event that does not exist, or a listener that is no function
   */
  on<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): void {
    requireListener("on", name, listener);
    // A new list: the old one may be being told of an event.
    this.#listeners[name] = [...(this.#listeners[name] ?? []), listener];
    if (name !== "config.warning") return;
    const kept = this.#keptWarnings;
    this.#keptWarnings = [];
    for (const warning of kept) this.emit("config.warning", warning);
  }

  /** Removes a listener (once, if it was added twice); without one left, the event is not even built any more. */
  off<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): void {
    requireListener("off", name, listener);
    const listeners: readonly AnyListener[] = this.#listeners[name] ?? [];
    const last = listeners.lastIndexOf(listener);
    if (last === -1) return;
    const left = listeners.filter((_, index) => index !== last);
    this.#listeners[name] = left.length === 0 ? undefined : left;
  }

  /** Whether anybody listens: a caller on the hot path asks before it builds the event. */
  has(name: SecurityEventName): boolean {
    return this.#listeners[name] !== undefined;
  }

  emit<Name extends SecurityEventName>(name: Name, event: SecurityEvents[Name]): void {
    const listeners = this.#listeners[name];
    if (listeners === undefined) {
      const isKept = name === "config.warning" && this.#keptWarnings.length < MAX_KEPT_WARNINGS;
      // The payload of that name.
      if (isKept) this.#keptWarnings.push(event as SecurityEvents["config.warning"]);
      return;
    }
    Object.freeze(event);
    for (const listener of listeners) {
      try {
        // `on` took it for events of this name.
        const answer = listener(event as never);
        // An async function fits the type too: its rejection must not end the process.
        if (isPromiseLike(answer)) Promise.resolve(answer).catch((error: unknown) => warnOf(name, error));
      } catch (error) {
        warnOf(name, error);
      }
    }
  }
}

strictMethods(EventHub, { on: "event, listener", off: "event, listener", has: "event", emit: "event, payload" });

/** Nobody would ever call a listener of a misspelt event, and what it was to watch would go unseen. */
function requireListener(method: string, name: unknown, listener: unknown): void {
  const names: readonly unknown[] = SECURITY_EVENT_NAMES;
  if (typeof name !== "string" || !names.includes(name)) {
    const mend =
      typeof name === "string" ? suggestion(name, SECURITY_EVENT_NAMES, "events") : "give the name of an event";
    throw new TypeError(
      `${method}: there is no event ${typeof name === "string" ? `"${name}"` : describe(name)}; ${mend}`,
    );
  }
  if (typeof listener !== "function") {
    throw new TypeError(`${method}("${name}"): the listener must be a function, got ${describe(listener)}`);
  }
}

function warnOf(name: SecurityEventName, error: unknown): void {
  // Whatever can be thrown can be inspected; not everything can be made a string.
  const message = error instanceof Error ? error.message : inspect(error);
  process.emitWarning(`a listener of "${name}" threw: ${message}`, { code: "CELLO_LISTENER_THREW" });
}
