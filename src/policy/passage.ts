import { ConfigError } from "../core/errors.js";
import type { MaybePromise } from "../core/later.js";
import type { Refusal } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import { createNonce } from "../headers/csp/nonce.js";
import type { VerifiedToken } from "../jwt/authenticator.js";
import type { JwtClaims } from "../jwt/claims.js";
import type { RateLimitOutcome, RateLimitState } from "../limits/step.js";
import type { Place } from "../overload/place.js";
import { isSessionUsed, type Session } from "../session/session.js";
import type { RoutePolicy } from "./route.js";
import type { SecurityPolicy } from "./security-policy.js";

/** What the security layer adds to the request of every host. */
export interface SecuredRequestFields {
  /** The verified claims; `undefined` where no token was needed and none was sent. */
  readonly claims: JwtClaims | undefined;
  /** The raw token that was verified. */
  readonly token: string | undefined;
  /** The session of this client. */
  readonly session: Session;
  /** This response's CSP nonce, base64. */
  readonly cspNonce: string;
  /** The client's address, as `trustProxy` allows to know it. */
  readonly clientIp: string;
  /** The state of the tightest limit; `undefined` when no limit applied. */
  readonly rateLimit: RateLimitState | undefined;
}

/** Whoever tells a request that its client has gone. */
export interface Presence {
  /** The request has left, and need not be told any more. */
  forget(request: SecuredRequest): void;
}

/**
 * One request on its way through the pipeline: what the steps found out, and what its handler sees
 * as `request.claims`, `request.session` and so on.
 */
export class SecuredRequest implements SecuredRequestFields {
  /** The verified token, when there is one. */
  verified: VerifiedToken | undefined = undefined;
  /** What the limits decided, when any applied. */
  limits: RateLimitOutcome | undefined = undefined;
  /** The session, once it was opened. */
  openedSession: Session | undefined = undefined;
  /** Whether the request target is what the router goes on to match. */
  isPathKnown = true;
  /** A preflight that somebody else is to answer: it needs no token and takes no quota. */
  isPreflight = false;
  /** Whoever tells it that its client has gone; `undefined` when nobody needs to. */
  presence: Presence | undefined = undefined;
  /** Whether it leaves as soon as the pipeline has decided, because nobody will see the head of its answer. */
  leavesWhenDecided = false;
  /** Whether the rest of its body is still on its way, when it is let in. */
  hasBodyToCome = false;
  /** Whether the pipeline refused it. */
  isRefused = false;
  #arrivedAtMs: number;
  #isPresent: boolean;
  #isWaiting = false;
  #isGone = false;
  #places: Place | undefined = undefined;
  #nonce: string | undefined = undefined;
  /** When the request came, in milliseconds of the monotonic clock; 0 where sessions do not ask. */
  readonly cameAtMs: number;

  constructor(
    readonly security: SecurityPolicy,
    /** The policy in force: of the middleware that was passed, then of each route on the way that adds to it. */
    public route: RoutePolicy,
    readonly view: RequestView,
  ) {
    this.#isPresent = security.rateLimits.isAdaptive;
    this.#arrivedAtMs = this.#isPresent ? security.load.arrive() : 0;
    this.cameAtMs = security.sessions === undefined ? 0 : security.clock.monotonicMs();
  }

  /** Whether somebody counts it, until it leaves. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** Whether its client has gone, so that nobody would get the answer. */
  get isClientGone(): boolean {
    return this.#isGone || this.view.isClientGone === true;
  }

  /** What the pipeline decided. */
  decided<Decision extends Refusal | undefined>(refusal: Decision): Decision {
    this.isRefused = refusal !== undefined;
    if (this.leavesWhenDecided) this.leave(false);
    return refusal;
  }

  /**
   * The head of the answer is written, or the connection was closed before: the request is no longer
   * in progress. At the head and not at the end, because a stream of events may last for days. Only
   * the first call counts.
   */
  leave(isAnswered: boolean): void {
    if (!this.#isPresent) return;
    this.#isPresent = false;
    this.presence?.forget(this);
    const { load, clock } = this.security;
    const nowMs = clock.monotonicMs();
    const latencyMs = this.#latencyMs(isAnswered, nowMs);
    if (this.#isWaiting) load.departWaiting();
    else load.depart(latencyMs, nowMs);
    for (let place = this.#places; place !== undefined; place = place.next) place.leave(latencyMs);
  }

  /** Its client has gone: it leaves, and is not let in any more if it was not yet. */
  leaveUnanswered(): void {
    this.#isGone = true;
    this.leave(false);
  }

  /**
   * It waits for its client, who has not sent the whole body yet: that is no load. Its places are free
   * for others meanwhile, and the time is in no latency.
   */
  startWaiting(): void {
    if (!this.#isPresent || this.#isWaiting) return;
    this.#isWaiting = true;
    this.security.load.suspend();
    for (let place = this.#places; place !== undefined; place = place.next) place.lend();
  }

  /** What it waited for has come: it counts as one that arrives now. */
  stopWaiting(): void {
    if (!this.#isPresent || !this.#isWaiting) return;
    this.#isWaiting = false;
    this.#arrivedAtMs = this.security.load.resume();
    for (let place = this.#places; place !== undefined; place = place.next) place.takeBack();
  }

  /** NaN for what says nothing of the load. */
  #latencyMs(isAnswered: boolean, nowMs: number): number {
    if (this.isRefused) return Number.NaN;
    const latencyMs = nowMs - this.#arrivedAtMs;
    // Who gave up would have waited longer: that counts where it is long already, and a short wait says nothing.
    return isAnswered || latencyMs > this.security.load.latencyMs ? latencyMs : Number.NaN;
  }

  /** Keeps a place that was taken at a gate, until it leaves; gives it back at once when it has left. */
  enter(place: Place): void {
    if (!this.#isPresent) {
      place.leave(Number.NaN);
      return;
    }
    if (this.#isWaiting) place.lend();
    place.next = this.#places;
    this.#places = place;
  }

  /** The path that decides what is excluded; `undefined` when the router may see another. */
  get path(): string | undefined {
    return this.isPathKnown ? this.route.readPath(this.view.rawPath) : undefined;
  }

  get claims(): VerifiedToken["claims"] | undefined {
    return this.verified?.claims;
  }

  get token(): string | undefined {
    return this.verified?.token;
  }

  get clientIp(): string {
    return this.view.clientIp;
  }

  /** The state of the tightest limit; `undefined` when no limit applied. */
  get rateLimit(): RateLimitState | undefined {
    return this.limits?.state;
  }

  /** This response's CSP nonce, made at first use. */
  get cspNonce(): string {
    this.#nonce ??= createNonce();
    return this.#nonce;
  }

  /**
   * The session, opened at first use.
   *
   * @throws ConfigError when sessions are not enabled
   */
  get session(): Session {
    if (this.openedSession !== undefined) return this.openedSession;
    const opened = this.openSession();
    if (opened === undefined || opened instanceof Promise) {
      throw new ConfigError({
        code: "CELLO_NOT_ENABLED",
        subject: "request.session",
        problem: opened === undefined ? "sessions are not enabled" : "this session is still being loaded",
        mend:
          opened === undefined
            ? "enable them with a SessionConfig at start-up"
            : "use it in the handler or in a hook that runs after the security layer",
      });
    }
    this.openedSession = opened;
    return opened;
  }

  /** Opens the session; called once. `undefined` when sessions are not enabled. */
  openSession(): MaybePromise<Session> | undefined {
    return this.security.sessions?.open(this.view, this.cameAtMs);
  }

  /** Whether the handler looked at the session: then its answer is for this client alone. */
  get usesSession(): boolean {
    return this.openedSession !== undefined && isSessionUsed(this.openedSession);
  }

  /**
   * Writes what the request changed about its session, and that it came with one; once, before the head.
   *
   * @returns the `Set-Cookie` value to send; a Promise only when the store is asynchronous. Throws or
   *   rejects with `StoreUnavailableError` when the store fails
   */
  commitSession(): MaybePromise<string | undefined> {
    const { sessions } = this.security;
    if (sessions === undefined) return undefined;
    if (this.openedSession !== undefined) return sessions.commit(this.openedSession, this.isRefused);
    return this.isRefused ? undefined : sessions.noteActivity(this.view, this.cameAtMs);
  }
}

/** What a handler is given where a request has no room for more fields: those, and nothing of what the layer does. */
export class HandlerFields implements SecuredRequestFields {
  readonly #request: SecuredRequest;

  constructor(request: SecuredRequest) {
    this.#request = request;
  }

  get claims(): JwtClaims | undefined {
    return this.#request.claims;
  }

  get token(): string | undefined {
    return this.#request.token;
  }

  get session(): Session {
    return this.#request.session;
  }

  get cspNonce(): string {
    return this.#request.cspNonce;
  }

  get clientIp(): string {
    return this.#request.clientIp;
  }

  get rateLimit(): RateLimitState | undefined {
    return this.#request.rateLimit;
  }
}
