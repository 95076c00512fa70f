import { canonicalOrigin, registrableDomain } from "./origin.js";

/** Origins that patterns were asked about and that are remembered. */
const MOST_REMEMBERED = 256;

const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** Origins that were allowed by name or by pattern. */
export class OriginList {
  /** Whether every origin is allowed, `null` too: the entry `*`. */
  readonly allowsAny: boolean;
  /** The origins that are listed by name. */
  readonly named: ReadonlySet<string>;
  readonly #patterns: readonly ((origin: string) => boolean)[];
  readonly #remembered = new Map<string, string | undefined>();

  /** @param entries as `readOrigins` writes them */
  constructor(entries: readonly string[]) {
    this.allowsAny = entries.includes("*");
    this.named = new Set(entries.filter((entry) => !entry.includes("*")));
    this.#patterns = entries.filter((entry) => entry.includes("//*.")).map(matcherOf);
  }

  /**
   * The listed origin that a request comes from, as browsers write it; `undefined` for others. `*` is not
   * looked at here.
   *
   * @param origin the value of `Origin`
   */
  find(origin: string): string | undefined {
    if (this.named.has(origin)) return origin;
    if (this.#remembered.has(origin)) return this.#remembered.get(origin);
    const canonical = canonicalOrigin(origin);
    if (canonical === undefined) return undefined;
    const isListed = this.named.has(canonical) || this.#patterns.some((matches) => matches(canonical));
    // Emptied as a whole: it saves work, and a flood of origins must not make it grow.
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(origin, isListed ? canonical : undefined);
    return isListed ? canonical : undefined;
  }
}

/**
 * Tells the origins of a pattern, all in the spelling of browsers: one or more whole labels in front of its
 * name, and in the same hands. Below a domain there may be names that its owner gives away
 * (`s3.amazonaws.com`): what stands below those belongs to others.
 */
function matcherOf(pattern: string): (origin: string) => boolean {
  const [start = "", rest = ""] = pattern.split("*");
  const hostOf = (authority: string) => authority.replace(/:\d+$/, "");
  const domain = registrableDomain(hostOf(rest.slice(1)));
  return (origin) => {
    if (!origin.startsWith(start) || !origin.endsWith(rest)) return false;
    if (!LABELS.test(origin.slice(start.length, origin.length - rest.length))) return false;
    const host = hostOf(origin.slice(start.length));
    return domain === null ? host.endsWith(".localhost") : registrableDomain(host) === domain;
  };
}
