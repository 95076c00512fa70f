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
type StoreName = "session" | "rate-limit" | "revocation" | "replay" | "jwks";

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
  "store.error": { readonly store: StoreName; readonly message: string };
  "store.recovered": { readonly store: StoreName };
  "config.warning": { readonly code: string; readonly message: string };
}

export type SecurityEventName = keyof SecurityEvents;
export type SecurityEventListener<Name extends SecurityEventName> = (event: SecurityEvents[Name]) => void;

type Listeners = { [Name in SecurityEventName]?: SecurityEventListener<Name>[] };

/**
 * Hands security events to their listeners, in the order in which they were added.
 *
 * A listener that throws does not fail the request: the error becomes a process warning.
 */
export class EventHub {
  readonly #listeners: Listeners = {};

  /** Adds a listener. */
  on<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): void {
    const listeners: SecurityEventListener<Name>[] = this.#listeners[name] ?? [];
    listeners.push(listener);
    Object.assign(this.#listeners, { [name]: listeners });
  }

  /** Removes a listener; when it is the last, the event is not even built any more. */
  off<Name extends SecurityEventName>(name: Name, listener: SecurityEventListener<Name>): void {
    const listeners: SecurityEventListener<Name>[] = this.#listeners[name] ?? [];
    // A new list: the old one may be being told of an event.
    const left = listeners.filter((other) => other !== listener);
    Object.assign(this.#listeners, { [name]: left.length === 0 ? undefined : left });
  }

  /** Whether anybody listens: a caller on the hot path asks before it builds the event. */
  has(name: SecurityEventName): boolean {
    return this.#listeners[name] !== undefined;
  }

  emit<Name extends SecurityEventName>(name: Name, event: SecurityEvents[Name]): void {
    const listeners: SecurityEventListener<Name>[] | undefined = this.#listeners[name];
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        const answer: unknown = listener(event);
        // An async function fits the type too: its rejection must not end the process.
        if (answer instanceof Promise) answer.catch((error: unknown) => warnOf(name, error));
      } catch (error) {
        warnOf(name, error);
      }
    }
  }
}

function warnOf(name: SecurityEventName, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.emitWarning(`a listener of "${name}" threw: ${message}`, { code: "CELLO_LISTENER_THREW" });
}
