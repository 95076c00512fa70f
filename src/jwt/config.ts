import { type InspectOptions, inspect } from "node:util";
import { ConfigFields, isHttpToken } from "../core/options.js";
import { type PathPatterns, pathPatterns } from "../core/path-patterns.js";
import { checkSecretStrength, refuseTwice, strictByDefault } from "../core/secret-strength.js";
import { strictConstruction } from "../core/strict-calls.js";
import { ALGORITHM_NAMES, ALGORITHMS, type AlgorithmName } from "../jws/algorithms.js";
import { UnfitKeyError } from "../jws/errors.js";
import type { KeyInput } from "../jws/key-import.js";
import { type PreparedKey, prepareKey } from "../jws/keys.js";
import { readTokenStore, type TokenStore } from "./token-store.js";

/** What to do while the shared list of revoked tokens may be out of date. */
export type OnStoreError = "deny" | "allow";

/** What `JwtConfig` takes. All times are seconds. */
export interface JwtOptions {
  /**
   * HMAC secret (text or bytes), or a key as PEM, JWK or `KeyObject`. A private key signs and
   * verifies, a public one only verifies. Of a list the first signs and all verify, so that keys can
   * be rotated. Required unless there is a `jwksUri`.
   */
  readonly secret?: KeyInput | readonly KeyInput[] | undefined;
  /** The only algorithm that is accepted. Default `"HS256"`. */
  readonly algorithm?: AlgorithmName | undefined;
  /** Lifetime of tokens that `sign` makes. Default 3600. */
  readonly expiration?: number | undefined;
  /** `iss`: `sign` writes the first, `verify` requires one of them. */
  readonly issuer?: string | readonly string[] | undefined;
  /** `aud`: `sign` writes the first, `verify` requires one of them. */
  readonly audience?: string | readonly string[] | undefined;
  /** The header with the token. Default `"Authorization"`. */
  readonly headerName?: string | undefined;
  /** The scheme before the token, in any letter case; `""` for none. Default `"Bearer"`. */
  readonly headerPrefix?: string | undefined;
  /** A cookie to read the token from when the header has none. */
  readonly cookieName?: string | undefined;
  /** Leeway for `exp` and `nbf`; for `iat`, 5 seconds more. Default 0. */
  readonly clockTolerance?: number | undefined;
  /** `false`: a request without a token passes without claims. A bad token never passes. Default `true`. */
  readonly required?: boolean | undefined;
  /** Paths that need no token: exact, or prefixes that end in `*`. */
  readonly exclude?: readonly string[] | undefined;
  /** Longer tokens are refused unread, in characters. Default 8192. */
  readonly maxTokenLength?: number | undefined;
  /** Where the keys are: the URL of a JWK Set, https (http for loopback hosts only). */
  readonly jwksUri?: string | undefined;
  /**
   * How often the JWK Set is fetched for key ids that are not in it: three times at once, then once in so
   * many seconds. After a failure the wait is a second, then longer, up to 30 and never over this. Default 30.
   */
  readonly jwksCooldown?: number | undefined;
  /** How long one fetch of the JWK Set may take. Default 5. */
  readonly jwksTimeout?: number | undefined;
  /**
   * Keys older than this are fetched again beside the next request, so that withdrawn keys go; sooner where
   * the answer's `Cache-Control` says so, though not within `jwksCooldown`. Default 600.
   */
  readonly jwksMaxAge?: number | undefined;
  /** How long the last keys are used while the endpoint fails; not below `jwksMaxAge`. Default 86400. */
  readonly jwksMaxStale?: number | undefined;
  /** Refuse tokens without `exp`. Default `true`. */
  readonly requireExpiration?: boolean | undefined;
  /** Refuse a weak secret (short, repeating, published) instead of warning. Default: whether `NODE_ENV` is `production`. */
  readonly strict?: boolean | undefined;
  /** The `typ` header that tokens must have, for example `"at+jwt"` (RFC 9068). */
  readonly typ?: string | undefined;
  /** How many verified tokens are remembered; 0 for none. Default 10,000. */
  readonly cacheSize?: number | undefined;
  /** Where revoked and used tokens are kept for all machines. Default: in memory, for this process. */
  readonly store?: TokenStore | undefined;
  /**
   * While nothing is heard of the store: refuse all tokens with 503, or go on with the revocations that
   * are known here. Default `"deny"`.
   */
  readonly onStoreError?: OnStoreError | undefined;
}

const FIELDS = [
  "secret",
  "algorithm",
  "expiration",
  "issuer",
  "audience",
  "headerName",
  "headerPrefix",
  "cookieName",
  "clockTolerance",
  "required",
  "exclude",
  "maxTokenLength",
  "jwksUri",
  "jwksCooldown",
  "jwksTimeout",
  "jwksMaxAge",
  "jwksMaxStale",
  "requireExpiration",
  "strict",
  "typ",
  "cacheSize",
  "store",
  "onStoreError",
] as const satisfies readonly (keyof JwtOptions)[];

const CENTURY = 3_155_760_000;
const SHOWN_SECRET = "[secret]";

/** Keys and secrets stand beside the objects, where neither inspect nor JSON finds them. */
const preparedKeys = new WeakMap<JwtConfig, readonly PreparedKey[]>();
const givenSecrets = new WeakMap<JwtConfig, JwtOptions["secret"]>();

/**
 * How tokens are signed and verified, and where requests carry them.
 *
 * Keys are checked here, once: their type, curve and size must be those of the algorithm.
 *
 * @throws ConfigError for a field that is unknown, missing, of a wrong type, out of range, or that
 *   contradicts another
 *
 * @example
 * new JwtConfig({ secret: process.env.JWT_SECRET, expiration: 900, exclude: ["/login"] });
 */
export class JwtConfig {
  readonly algorithm: AlgorithmName;
  readonly expiration: number;
  readonly issuer: string | readonly string[] | undefined;
  readonly audience: string | readonly string[] | undefined;
  readonly headerName: string;
  readonly headerPrefix: string;
  readonly cookieName: string | undefined;
  readonly clockTolerance: number;
  readonly required: boolean;
  readonly exclude: readonly string[];
  readonly maxTokenLength: number;
  readonly jwksUri: string | undefined;
  readonly jwksCooldown: number;
  readonly jwksTimeout: number;
  readonly jwksMaxAge: number;
  readonly jwksMaxStale: number;
  readonly requireExpiration: boolean;
  readonly strict: boolean;
  readonly typ: string | undefined;
  readonly cacheSize: number;
  readonly store: TokenStore | undefined;
  readonly onStoreError: OnStoreError;
  /** `exclude`, ready to be held against paths. */
  readonly excludedPaths: PathPatterns;

  constructor(options: JwtOptions) {
    strictConstruction("new JwtConfig(options)", arguments);
    const fields = new ConfigFields("JwtConfig", options, FIELDS);
    this.algorithm = fields.oneOf("algorithm", ALGORITHM_NAMES, "HS256");
    this.expiration = fields.number("expiration", 3600, { min: 1, max: CENTURY, unit: "seconds" });
    this.issuer = readNames(fields, "issuer");
    this.audience = readNames(fields, "audience");
    this.headerName = readHttpToken(fields, "headerName") ?? "Authorization";
    this.headerPrefix = fields.raw("headerPrefix") === "" ? "" : (readHttpToken(fields, "headerPrefix") ?? "Bearer");
    this.cookieName = readHttpToken(fields, "cookieName");
    this.clockTolerance = fields.number("clockTolerance", 0, { min: 0, max: 86_400, unit: "seconds" });
    this.required = fields.boolean("required", true);
    this.excludedPaths = pathPatterns()(fields, "exclude");
    this.exclude = this.excludedPaths.patterns;
    this.maxTokenLength = fields.number("maxTokenLength", 8192, {
      min: 16,
      max: 1_048_576,
      whole: true,
      unit: "characters",
    });
    this.jwksUri = readJwksUri(fields, this.algorithm);
    this.jwksCooldown = fields.number("jwksCooldown", 30, { min: 0, max: 86_400, unit: "seconds" });
    this.jwksTimeout = fields.number("jwksTimeout", 5, { min: 0.001, max: 60, unit: "seconds" });
    this.jwksMaxAge = fields.number("jwksMaxAge", 600, { min: 1, max: 86_400, unit: "seconds" });
    this.jwksMaxStale = readMaxStale(fields, this.jwksMaxAge);
    this.requireExpiration = fields.boolean("requireExpiration", true);
    this.strict = fields.boolean("strict", strictByDefault());
    this.typ = fields.string("typ", undefined);
    this.cacheSize = fields.number("cacheSize", 10_000, { min: 0, max: 10_000_000, whole: true });
    this.store = readTokenStore(fields);
    this.onStoreError = fields.oneOf("onStoreError", ["deny", "allow"], "deny");
    const keys = this.jwksUri === undefined ? readKeys(fields, this.algorithm, this.strict) : [];
    preparedKeys.set(this, Object.freeze(keys));
    givenSecrets.set(this, this.jwksUri === undefined ? options.secret : undefined);
    Object.freeze(this);
  }

  /** The secret or keys as they were given; not shown by `inspect` or `JSON.stringify`. */
  get secret(): JwtOptions["secret"] {
    return givenSecrets.get(this);
  }

  /** The fields, with `"[secret]"` in place of keys, and the store by name only: it may hold a password. */
  toJSON(): Record<string, unknown> {
    const { excludedPaths: _, store, ...plain } = this;
    const shown = { ...plain, store: store === undefined ? undefined : `[${store.constructor?.name ?? "store"}]` };
    return this.jwksUri === undefined ? { secret: SHOWN_SECRET, ...shown } : shown;
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `JwtConfig ${inspect(this.toJSON(), options)}`;
  }
}

/** The checked keys of a configuration: the first signs, all verify. Empty when it has a `jwksUri`. */
export function keysOf(config: JwtConfig): readonly PreparedKey[] {
  return preparedKeys.get(config) ?? [];
}

/** A field that takes one name or several, as a list. */
export function listOf(names: string | readonly string[] | undefined): readonly string[] {
  if (names === undefined) return [];
  return typeof names === "string" ? [names] : names;
}

/** Keeps the form in which the names were given: one, or a frozen copy of the list. */
function readNames(fields: ConfigFields, field: string): string | readonly string[] | undefined {
  const names = fields.oneOrMoreStrings(field);
  return Array.isArray(fields.raw(field)) ? names : names?.[0];
}

function readHttpToken(fields: ConfigFields, field: string): string | undefined {
  const value = fields.string(field, undefined);
  if (value !== undefined && !isHttpToken(value)) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      field,
      `"${value}" has characters that HTTP does not allow there`,
      "use letters, digits and hyphens only",
    );
  }
  return value;
}

function readJwksUri(fields: ConfigFields, algorithm: AlgorithmName): string | undefined {
  const text = fields.string("jwksUri", undefined);
  if (text === undefined) {
    for (const field of ["jwksCooldown", "jwksTimeout", "jwksMaxAge", "jwksMaxStale"]) {
      if (fields.has(field)) fields.fail("CELLO_CONFLICT", field, "has no effect without jwksUri", "leave it out");
    }
    return undefined;
  }
  if (fields.has("secret")) {
    fields.fail("CELLO_CONFLICT", "jwksUri", "is given together with secret", "keep one of the two");
  }
  if (ALGORITHMS[algorithm].kind === "hmac") {
    fields.fail(
      "CELLO_CONFLICT",
      "jwksUri",
      `cannot be used with ${algorithm}, whose keys are secret`,
      'set the algorithm to that of the published keys, for example "RS256"',
    );
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname)))) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "jwksUri",
      "is not an https URL",
      "give a URL that begins with https:// (http:// for loopback hosts only)",
    );
  }
  if (url.username !== "" || url.password !== "") {
    fields.fail("CELLO_INVALID_VALUE", "jwksUri", "contains credentials", "give a URL without user name and password");
  }
  return text;
}

function readMaxStale(fields: ConfigFields, maxAge: number): number {
  const maxStale = fields.number("jwksMaxStale", 86_400, { min: 1, max: 2_592_000, unit: "seconds" });
  if (maxStale < maxAge) {
    fields.fail(
      "CELLO_CONFLICT",
      "jwksMaxStale",
      "is less than jwksMaxAge",
      "give at least jwksMaxAge, or leave it out",
    );
  }
  return maxStale;
}

/** The parser has already made one form of every way to write an address: `127.1`, `0x7f.1`. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function readKeys(fields: ConfigFields, algorithm: AlgorithmName, isStrict: boolean): readonly PreparedKey[] {
  fields.require("secret", 'give a secret of your own ("npx cello secret" makes one), a key, or a jwksUri');
  const given = fields.raw("secret");
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0) {
    fields.fail("CELLO_INVALID_VALUE", "secret", "is an empty list", "give at least one secret or key");
  }
  const keys = list.map((input) => readKey(fields, input, algorithm, isStrict));
  refuseTwice(
    fields,
    "secret",
    keys.map(({ fingerprint }) => fingerprint),
  );
  return keys;
}

function readKey(fields: ConfigFields, input: unknown, algorithm: AlgorithmName, isStrict: boolean): PreparedKey {
  const { subject } = fields;
  if (!isKeyInput(input)) {
    fields.fail(
      "CELLO_WRONG_TYPE",
      "secret",
      "must be a string, bytes, PEM, a JWK or a KeyObject",
      'give one of them; "npx cello secret" makes a secret',
    );
  }
  try {
    return prepareKey(input, ALGORITHMS[algorithm], (hmac, secret) => {
      const what = `an ${hmac.name} key`;
      checkSecretStrength({ subject, field: "secret", what, neededBytes: hmac.keyBytes, secret, isStrict });
    });
  } catch (error) {
    if (!(error instanceof UnfitKeyError)) throw error;
    return fields.fail("CELLO_INVALID_VALUE", "secret", error.problem, error.mend);
  }
}

function isKeyInput(value: unknown): value is KeyInput {
  return typeof value === "string" || (typeof value === "object" && value !== null && !Array.isArray(value));
}
