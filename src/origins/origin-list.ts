import { canonicalOrigin } from "./origin.js";
import type { OriginPattern } from "./origin-pattern.js";

/** Origins that patterns were asked about and that are remembered. */
const MOST_REMEMBERED = 256;

/** Origins that were allowed by name or by pattern; see `readOrigins`. */
export class OriginList {
  /** The entries, each in the spelling of browsers. */
  readonly entries: readonly string[];
  /** Whether every origin is allowed, `null` too: the entry `*`. */
  readonly allowsAny: boolean;
  readonly #exact: ReadonlySet<string>;
  readonly #patterns: readonly OriginPattern[];
  readonly #remembered = new Map<string, string | undefined>();

  constructor(exact: readonly string[], patterns: readonly OriginPattern[], entries: readonly string[]) {
    this.#exact = new Set(exact);
    this.#patterns = patterns;
    this.entries = Object.freeze([...entries]);
    this.allowsAny = entries.includes("*");
  }

  /** The origins that are listed by name. */
  get named(): Iterable<string> {
    return this.#exact;
  }

  /**
   * The listed origin that a request comes from, as browsers write it; `undefined` for others. `*` is not
   * looked at here.
   *
   * @param origin the value of `Origin`
   */
  find(origin: string): string | undefined {
    if (this.#exact.has(origin)) return origin;
    if (this.#remembered.has(origin)) return this.#remembered.get(origin);
    const canonical = canonicalOrigin(origin);
    if (canonical === undefined) return undefined;
    const found = this.#exact.has(canonical) || this.#patterns.some((pattern) => pattern.matches(canonical));
    // Emptied as a whole: it saves work, and a flood of origins must not make it grow.
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(origin, found ? canonical : undefined);
    return found ? canonical : undefined;
  }
}
