import { isHttpToken } from "../core/options.js";
import type { Refusal } from "../core/problem.js";
import type { RequestView } from "../core/request-view.js";
import { OriginList } from "../origins/origin-list.js";
import type { CorsConfig } from "./config.js";

/** Answer headers that every page needs that meets a limit. */
const EXPOSED = ["RateLimit", "RateLimit-Policy", "Retry-After"];
/** The older ones, where a limit sends them. */
const EXPOSED_LEGACY = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

/** On what the answer to a preflight depends. */
const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/** Asked-for headers that are repeated in an answer, in characters. */
const MOST_REQUESTED = 4096;

const NOTHING: readonly string[] = Object.freeze([]);

/**
 * Whether a browser asks with this request what it may send (Fetch, "CORS-preflight request"). It comes
 * without cookies and tokens; any other client can send the same.
 */
export function isPreflight(view: RequestView): boolean {
  return (
    view.method === "OPTIONS" &&
    view.header("access-control-request-method") !== undefined &&
    view.header("origin") !== undefined
  );
}

/** The fields of cross-origin resource sharing, compiled: what stands on an answer, and what answers a preflight. */
export class Cors {
  readonly origins: OriginList;
  readonly credentials: boolean;
  readonly #config: CorsConfig;
  readonly #exposed: string;
  readonly #byOrigin: ReadonlyMap<string, readonly string[]>;
  /** The lines of a preflight's answer that do not depend on it. */
  readonly #preflightLines: readonly string[];
  readonly #preflightVary: string;
  #withLegacy: Cors | undefined = undefined;

  /** @param exposed names of answer headers that pages may read beside the configured ones */
  constructor(config: CorsConfig, exposed: readonly string[] = EXPOSED) {
    this.#config = config;
    this.origins = new OriginList(config.origins);
    this.credentials = config.credentials;
    this.#exposed = namesOnce([...exposed, ...config.exposedHeaders]);
    const origins = this.origins.allowsAny ? ["*"] : [...this.origins.named];
    this.#byOrigin = new Map(origins.map((origin) => [origin, this.#answerLines(origin)]));
    this.#preflightLines = Object.freeze([
      "Access-Control-Allow-Methods",
      config.methods.join(", "),
      ...(config.allowedHeaders === undefined || config.allowedHeaders.length === 0
        ? []
        : ["Access-Control-Allow-Headers", config.allowedHeaders.join(", ")]),
      "Access-Control-Max-Age",
      String(config.maxAge),
    ]);
    this.#preflightVary = `${PREFLIGHT_VARY}${config.privateNetwork ? ", Access-Control-Request-Private-Network" : ""}`;
  }

  /** The same where a limit sends the older fields too. */
  get withLegacyLimits(): Cors {
    this.#withLegacy ??= new Cors(this.#config, [...EXPOSED, ...EXPOSED_LEGACY]);
    return this.#withLegacy;
  }

  /**
   * The lines of an answer, as names and values in turn; none for an origin that is not allowed.
   *
   * @param origin the value of `Origin`; `undefined` for a request without
   */
  linesFor(origin: string | undefined): readonly string[] {
    const asked = this.origins.allowsAny ? "*" : origin;
    if (asked === undefined) return NOTHING;
    const known = this.#byOrigin.get(asked);
    if (known !== undefined) return known;
    const found = this.origins.find(asked);
    return found === undefined ? NOTHING : (this.#byOrigin.get(found) ?? this.#answerLines(found));
  }

  /** Answers a preflight: 204, with what the browser may send when the origin is allowed. */
  preflight(view: RequestView): Refusal {
    const headers = ["Vary", this.#preflightVary];
    const origin = this.#allowed(view.header("origin"));
    if (origin !== undefined) {
      headers.push("Access-Control-Allow-Origin", origin);
      if (this.credentials) headers.push("Access-Control-Allow-Credentials", "true");
      for (const part of this.#preflightLines) headers.push(part);
      if (this.#config.allowedHeaders === undefined) allowRequested(headers, view);
      if (this.#config.privateNetwork && view.header("access-control-request-private-network") === "true") {
        headers.push("Access-Control-Allow-Private-Network", "true");
      }
    }
    return { status: 204, headers, body: "" };
  }

  /** What stands in `Access-Control-Allow-Origin`. */
  #allowed(origin: string | undefined): string | undefined {
    if (this.origins.allowsAny) return "*";
    return origin === undefined ? undefined : this.origins.find(origin);
  }

  #answerLines(origin: string): readonly string[] {
    return Object.freeze([
      "Access-Control-Allow-Origin",
      origin,
      ...(this.credentials ? ["Access-Control-Allow-Credentials", "true"] : []),
      "Access-Control-Expose-Headers",
      this.#exposed,
    ]);
  }
}

/** Repeats the asked-for headers, when they are a list of names. */
function allowRequested(headers: string[], view: RequestView): void {
  const requested = view.header("access-control-request-headers");
  if (requested === undefined || requested.length > MOST_REQUESTED) return;
  const names = requested.split(",").map((name) => name.trim());
  if (names.every(isHttpToken)) headers.push("Access-Control-Allow-Headers", names.join(", "));
}

function namesOnce(names: readonly string[]): string {
  const byLowerCase = new Map(names.map((name) => [name.toLowerCase(), name]));
  return [...byLowerCase.values()].join(", ");
}
