import { fitting, type Reader, texts } from "./options.js";

/**
 * The `exclude` lists of configurations: exact paths, or prefixes that end in `*`.
 *
 * Where the host's router is known, they are held against the pattern of the route that it chose, or the path
 * as it decodes it. Elsewhere against the path as it was sent, which must be written the usual way: what
 * stands behind may decode or not, and with every other spelling one of the two would be another path.
 */
export class PathPatterns {
  readonly #exact: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  constructor(readonly patterns: readonly string[]) {
    this.#exact = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
    this.#prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  }

  /** Whether nothing is excluded. */
  get isEmpty(): boolean {
    return this.patterns.length === 0;
  }

  /** Whether a decoded path is named. A path with a dot segment, `//` or a backslash never is. */
  matches(path: string): boolean {
    const isNamed =
      this.#exact.has(path) || (this.#prefixes.length > 0 && this.#prefixes.some((prefix) => path.startsWith(prefix)));
    return isNamed && !isAmbiguous(path);
  }

  /**
   * What is known from the route alone, when it is registered: `true` or `false` for every path of
   * the route, `undefined` when it depends on the path.
   *
   * @param route the pattern of the route, for example `/users/:id` or `/files/*`
   */
  matchesRoute(route: string): boolean | undefined {
    if (this.isEmpty) return false;
    const variable = route.search(/[:*]/);
    if (variable === -1) return this.matches(route);
    const fixed = route.slice(0, variable);
    const mayMatch = this.patterns.some((pattern) => {
      const text = pattern.endsWith("*") ? pattern.slice(0, -1) : pattern;
      return text.startsWith(fixed) || (pattern.endsWith("*") && fixed.startsWith(text));
    });
    return mayMatch ? undefined : false;
  }
}

/**
 * Reads an option such as `exclude`: a list of paths that begin with `/`, with `*` only at the end.
 *
 * @param fallback the list when the option is not given
 */
export function paths(fallback: readonly string[]): Reader<readonly string[]> {
  return RULES.reduce<Reader<readonly string[]>>(
    (reader, { fits, problem, mend }) => fitting(reader, fits, (pattern) => `"${pattern}" ${problem}`, mend),
    texts(fallback),
  );
}

/** What a pattern must be. */
const RULES = [
  {
    fits: (pattern: string) => pattern.startsWith("/") || pattern === "*",
    problem: 'does not begin with "/"',
    mend: 'write a path such as "/health"',
  },
  {
    fits: (pattern: string) => !pattern.slice(0, -1).includes("*"),
    problem: 'has a "*" before its end',
    mend: 'write "*" only at the end, as in "/public/*"',
  },
  {
    fits: (pattern: string) => !/[?#]/.test(pattern) && !isAmbiguous(pattern),
    problem: "is not a plain path",
    mend: 'write the path alone, without a query, "//" or dot segments',
  },
];

/**
 * The path of a request target, decoded once as a router does; `undefined` when it cannot be
 * decoded, holds an encoded slash, or is not in origin form.
 */
export function decodePath(target: string): string | undefined {
  if (!target.startsWith("/")) return undefined;
  const end = target.search(/[?#]/);
  const raw = end === -1 ? target : target.slice(0, end);
  if (!raw.includes("%")) return raw;
  if (/%2f|%5c/i.test(raw)) return undefined;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** Path characters of RFC 3986 section 3.3, and bytes in percent-encoding. */
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;

/** A percent-encoded byte that may stand in a path in no other way: a space, `"<>[]^`{|}`, and those past ASCII. */
const NEEDED = /^%(?:2[02]|3[CE]|5[BDE]|60|7[BCD]|[89A-F])/i;

/**
 * The path of a request target as it was sent, for hosts whose router is not known; `undefined` when it
 * could be written in another way, so that what stands behind may take it for another path.
 *
 * @param target the request target, without its query
 */
export function canonicalPath(target: string): string | undefined {
  if (!PATH.test(target)) return undefined;
  if (!target.includes("%")) return target;
  for (let at = target.indexOf("%"); at !== -1; at = target.indexOf("%", at + 1)) {
    if (!NEEDED.test(target.slice(at, at + 3))) return undefined;
  }
  // Bytes that are no UTF-8, overlong forms among them.
  return decodePath(target) === undefined ? undefined : target;
}

function isAmbiguous(path: string): boolean {
  // With a semicolon behind them too: some servers cut off what follows it before they look at the dots.
  return path.includes("//") || path.includes("\\") || path.includes("\0") || /(^|\/)\.\.?([/;]|$)/.test(path);
}
