import { ConfigError } from "../core/errors.js";
import type { MaybePromise } from "../core/later.js";
import type { Refusal } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import { createNonce } from "../headers/csp/nonce.js";
import type { JwtClaims } from "../jwt/claim-rules.js";
import type { AcceptedToken } from "../jwt/step.js";
import type { LimitsVerdict, RateLimitState } from "../limits/verdict.js";
import { InFlight } from "../overload/in-flight.js";
import { type Session, sessionState } from "../session/session.js";
import type { Policy } from "./policy.js";
import type { SecuredRequest } from "./request.js";
import type { RoutePolicy } from "./route.js";

/** One request on its way: what the steps of the pipeline find out, and what its handler reads of that. */
export class Passage implements SecuredRequest {
  /** The verified token, when there is one. */
  verified: AcceptedToken | undefined = undefined;
  /** What the limits decided, when any applied. */
  limits: LimitsVerdict | undefined = undefined;
  /** The session, once it was opened. */
  openedSession: Session | undefined = undefined;
  /** Whether the request target is what the router goes on to match. */
  isPathKnown = true;
  /** A preflight that somebody else is to answer: it needs no token and takes no quota. */
  isPreflight = false;
  /** Whether the pipeline refused it. */
  isRefused = false;
  /** The request as the load sees it; `undefined` where no limit adapts to the load or bounds what is in progress. */
  readonly inFlight: InFlight | undefined;
  /** When the request came, in milliseconds of the monotonic clock; 0 where sessions do not ask. */
  readonly cameAtMs: number;
  #nonce: string | undefined = undefined;

  constructor(
    readonly policy: Policy,
    /** The policy in force: of the middleware that was passed, then of each route on the way that adds to it. */
    public route: RoutePolicy,
    readonly view: RequestView,
  ) {
    const { rateLimits, load, clock, sessions } = policy;
    this.inFlight = rateLimits.isAdaptive ? new InFlight(load, clock) : undefined;
    this.cameAtMs = sessions === undefined ? 0 : clock.monotonicMs();
  }

  /** What the pipeline decided. */
  decided<Decision extends Refusal | undefined>(refusal: Decision): Decision {
    this.isRefused = refusal !== undefined;
    this.inFlight?.decided(this.isRefused);
    return refusal;
  }

  /** The path that decides what is excluded; `undefined` when the router may see another. */
  get path(): string | undefined {
    return this.isPathKnown ? this.route.readPath(this.view.rawPath) : undefined;
  }

  get claims(): JwtClaims | undefined {
    return this.verified?.claims;
  }

  get token(): string | undefined {
    return this.verified?.token;
  }

  get clientIp(): string {
    return this.view.clientIp;
  }

  get rateLimit(): RateLimitState | undefined {
    return this.limits?.state;
  }

  /** Made at first use. */
  get cspNonce(): string {
    this.#nonce ??= createNonce();
    return this.#nonce;
  }

  /**
   * Opened at first use.
   *
   * @throws ConfigError when sessions are not enabled
   */
  get session(): Session {
    if (this.openedSession !== undefined) return this.openedSession;
    const opened = this.policy.sessions?.open(this.view, this.cameAtMs);
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

  /** Whether the handler looked at the session: then its answer is for this client alone. */
  get usesSession(): boolean {
    return this.openedSession !== undefined && sessionState(this.openedSession).isUsed;
  }

  /**
   * Writes what the request changed about its session, and that it came with one; once, before the head.
   *
   * @returns the `Set-Cookie` value to send; a Promise only when the store is asynchronous. Throws or
   *   rejects with `StoreUnavailableError` when the store fails
   */
  commitSession(): MaybePromise<string | undefined> {
    const { sessions } = this.policy;
    if (sessions === undefined) return undefined;
    if (this.openedSession !== undefined) return sessions.commit(this.openedSession, this.isRefused);
    return this.isRefused ? undefined : sessions.noteActivity(this.view, this.cameAtMs);
  }
}
