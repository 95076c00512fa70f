import { ApplicationFunction } from "../core/application-function.js";
import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { PathPatterns } from "../core/path-patterns.js";
import { type Refusal, refusal } from "../core/problem.js";
import { type HostRequest, type RequestView, requestEvent } from "../core/request-view.js";
import { ConcurrencyGate, isPriority, type Lack, type RequestPriority } from "./concurrency-gate.js";
import type { InFlight } from "./in-flight.js";
import type { LoadMonitor } from "./load.js";

/** Says how much a request matters when not all can be served. */
export type PriorityOf<Request extends HostRequest = HostRequest> = (request: Request) => RequestPriority;

export interface SheddingOptions {
  readonly name: string;
  /** Requests in progress at a time; `"auto"`: found from latencies. */
  readonly maxConcurrency: number | "auto";
  /** Milliseconds of latency that the limit's user tolerates. */
  readonly latencyThresholdMs: number;
  /** The share of the places that one client may hold; `undefined`: the gate's own default. */
  readonly clientShare: number | undefined;
  /** What a request is counted by, before the limit was asked. */
  readonly clientOf: (view: RequestView) => string;
  readonly priority: PriorityOf | undefined;
  /** Paths that are never refused: health checks, and what the limit does not concern. */
  readonly exempt: readonly PathPatterns[];
  /** Count and report, but never refuse. */
  readonly dryRun: boolean;
}

export interface SheddingParts {
  readonly clock: Clock;
  readonly events: EventHub;
  readonly load: LoadMonitor;
}

/** The share of the latency threshold that queued work may use; the rest is for waiting before, and the work itself. */
const BACKLOG_SHARE = 0.4;

/** The answer to what found no place: 503, and another try in a second may find one. */
export const SHED: Refusal = refusal(
  {
    type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
    title: "Temporarily reduced capacity",
    status: 503,
    detail: "The server is busy. Try again after the seconds in Retry-After.",
  },
  ["Retry-After", "1"],
);

/** What shedding must know of a request beside its view. */
export interface SheddableRequest {
  /** The decoded path; `undefined` when it cannot be decoded. */
  readonly path: string | undefined;
  /** Knows whether the rest of the body is still on its way. */
  readonly inFlight: InFlight | undefined;
}

/** One gate with its rules: who is let in first, and who always. */
export class LoadShedder {
  readonly gate: ConcurrencyGate;
  /** What a request is counted by, before the limit was asked. */
  readonly clientOf: (view: RequestView) => string;
  readonly #options: SheddingOptions;
  readonly #events: EventHub;
  readonly #priority: ApplicationFunction<HostRequest, RequestPriority> | undefined;
  #hasWarnedOfShare = false;

  constructor(options: SheddingOptions, parts: SheddingParts) {
    this.#options = options;
    this.clientOf = options.clientOf;
    this.#events = parts.events;
    const longestBacklogMs = options.latencyThresholdMs * BACKLOG_SHARE;
    const { maxConcurrency, clientShare } = options;
    this.gate = new ConcurrencyGate(maxConcurrency, { ...parts, longestBacklogMs, clientShare });
    this.#priority =
      options.priority &&
      new ApplicationFunction(options.priority, {
        isAnswer: isPriority,
        warn: (problem) =>
          this.#warn("CELLO_RATE_LIMIT_PRIORITY", `the priority function ${problem}; the request counted as normal`),
      });
  }

  /**
   * Whether a request must be refused. Takes no place yet.
   *
   * @param client what the limit counts the request by
   * @param request knows the decoded path, which is read only when there is no place
   */
  refuses(view: RequestView, client: string, request: SheddableRequest): boolean {
    const priority = this.#priority?.answer(view.request, "normal") ?? "normal";
    const lack = this.gate.lacks(client, priority, request.inFlight?.hasBodyToCome === true);
    if (lack === undefined) return false;
    const { path } = request;
    if (path !== undefined && this.#options.exempt.some((patterns) => patterns.matches(path))) return false;
    this.gate.noteRefused(lack);
    if (lack === "client") this.#warnOfShare();
    this.#report(view, priority, lack);
    return !this.#options.dryRun;
  }

  /** Behind a proxy that nobody trusts all clients are one: whoever runs it must learn why requests are refused. */
  #warnOfShare(): void {
    if (this.#hasWarnedOfShare) return;
    this.#hasWarnedOfShare = true;
    const problem =
      "requests were refused because one client held its share of maxConcurrency " +
      "while places were free; behind a proxy give trustProxy, or all clients count as the proxy; " +
      "for a server with a single client give clientShare: 1";
    this.#warn("CELLO_CLIENT_SHARE", problem);
  }

  #warn(code: string, problem: string): void {
    this.#events.emit("config.warning", { code, message: `rate limit "${this.#options.name}": ${problem}` });
  }

  /** The event is built only when somebody listens. */
  #report(view: RequestView, priority: RequestPriority, reason: Lack): void {
    if (!this.#events.has("ratelimit.shed")) return;
    const { name, dryRun } = this.#options;
    const limit = Math.max(1, Math.round(this.gate.limit));
    this.#events.emit("ratelimit.shed", { ...requestEvent(view), name, priority, reason, limit, dryRun });
  }
}
