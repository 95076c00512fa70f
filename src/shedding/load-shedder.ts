import type { Clock } from "../clock.js";
import type { EventHub } from "../events.js";
import { type Exchange, type HostRequest, requestEvent } from "../exchange.js";
import type { PathPatterns } from "../path-patterns.js";
import { type Refusal, refusal } from "../problem.js";
import { ConcurrencyGate, type GateLoad } from "./gate.js";
import { isPriority, type RequestPriority } from "./priority.js";

/** Says how much a request matters when not all can be served. */
export type PriorityOf<Request extends HostRequest = HostRequest> = (request: Request) => RequestPriority;

/** What a limit says about shedding. */
export interface SheddingOptions {
  /** The limit's name. */
  readonly name: string;
  /** Requests in progress at a time; `"auto"`: found from latencies. */
  readonly maxConcurrency: number | "auto";
  /** Milliseconds of latency that the limit's user tolerates. */
  readonly latencyThresholdMs: number;
  readonly priority: PriorityOf | undefined;
  /** Paths that are never refused: health checks, and what the limit does not concern. */
  readonly exempt: readonly PathPatterns[];
  /** Count and report, but never refuse. */
  readonly dryRun: boolean;
}

/** What shedding needs of its surroundings. */
export interface SheddingParts {
  readonly clock: Clock;
  readonly events: EventHub;
  readonly load: GateLoad;
}

/** Work in front of the event loop may take so much of the latency; the rest is for waiting before, and the work itself. */
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

/** One gate with its rules: who is let in first, and who always. */
export class LoadShedder {
  readonly gate: ConcurrencyGate;
  /** The gate alone in a list, for requests that pass no other: none is made on the request path. */
  readonly gates: readonly ConcurrencyGate[];
  readonly #options: SheddingOptions;
  readonly #events: EventHub;
  #hasWarned = false;

  constructor(options: SheddingOptions, parts: SheddingParts) {
    this.#options = options;
    this.#events = parts.events;
    const longestBacklogMs = options.latencyThresholdMs * BACKLOG_SHARE;
    this.gate = new ConcurrencyGate(options.maxConcurrency, { ...parts, longestBacklogMs });
    this.gates = Object.freeze([this.gate]);
  }

  /**
   * Whether a request must be refused. Takes no place yet.
   *
   * @param place knows the decoded path, which is read only when there is no place
   */
  refuses(exchange: Exchange, place: { readonly path: string | undefined }): boolean {
    const priority = this.#priorityOf(exchange.request);
    if (this.gate.hasPlace(priority) || this.#exempts(place.path)) return false;
    this.gate.noteShed();
    this.#report(exchange, priority);
    return !this.#options.dryRun;
  }

  #exempts(path: string | undefined): boolean {
    return path !== undefined && this.#options.exempt.some((patterns) => patterns.matches(path));
  }

  /** A function that fails neither ends the request nor lets it pass before others. */
  #priorityOf(request: HostRequest): RequestPriority {
    const { priority } = this.#options;
    if (priority === undefined) return "normal";
    try {
      const answer: unknown = priority(request);
      if (isPriority(answer)) return answer;
      this.#warnOnce(`answered ${typeof answer}`);
    } catch (error) {
      this.#warnOnce(`threw (${error instanceof Error ? error.name : typeof error})`);
    }
    return "normal";
  }

  #warnOnce(what: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const message = `rate limit "${this.#options.name}": the priority function ${what}; the request counted as normal`;
    this.#events.emit("config.warning", { code: "CELLO_RATE_LIMIT_PRIORITY", message });
  }

  /** The event is built only when somebody listens. */
  #report(exchange: Exchange, priority: RequestPriority): void {
    if (!this.#events.has("ratelimit.shed")) return;
    const { name, dryRun } = this.#options;
    const limit = Math.max(1, Math.round(this.gate.limit));
    this.#events.emit("ratelimit.shed", { ...requestEvent(exchange), name, priority, limit, dryRun });
  }
}
