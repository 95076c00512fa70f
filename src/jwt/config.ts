import { type InspectOptions, inspect } from "node:util";
import {
  Fields,
  fitting,
  flag,
  integer,
  isHttpToken,
  number,
  oneOf,
  optional,
  or,
  type Readers,
  required,
  type Settled,
  text,
  textOf,
  textOrTexts,
  unread,
} from "../core/options.js";
import { PathPatterns, paths } from "../core/path-patterns.js";
import { checkSecretStrength, readStrict, secrets } from "../core/secret-strength.js";
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

const CENTURY = 3_155_760_000;
const SHOWN_SECRET = "[secret]";

/** What a {@link JwtConfig} keeps of its options, beside the secret. */
type JwtValues = Settled<
  Omit<JwtOptions, "secret">,
  "issuer" | "audience" | "cookieName" | "jwksUri" | "typ" | "store"
>;

const HTTP_TOKEN = [
  isHttpToken,
  (value: string) => `"${value}" has characters that HTTP does not allow there`,
  "use letters, digits and hyphens only",
] as const;

const READERS: Readers<JwtValues & { readonly secret: unknown }> = {
  secret: unread,
  algorithm: oneOf(ALGORITHM_NAMES, "HS256"),
  expiration: number(1, CENTURY, "seconds", 3600),
  issuer: textOrTexts,
  audience: textOrTexts,
  headerName: fitting(text("Authorization"), ...HTTP_TOKEN),
  headerPrefix: or("", fitting(text("Bearer"), ...HTTP_TOKEN)),
  cookieName: fitting(text(undefined), ...HTTP_TOKEN),
  clockTolerance: number(0, 86_400, "seconds", 0),
  required: flag(true),
  exclude: paths([]),
  maxTokenLength: integer(16, 1_048_576, "characters", 8192),
  jwksUri: optional(undefined, readJwksUri),
  jwksCooldown: number(0, 86_400, "seconds", 30),
  jwksTimeout: number(0.001, 60, "seconds", 5),
  jwksMaxAge: number(1, 86_400, "seconds", 600),
  jwksMaxStale: number(1, 2_592_000, "seconds", 86_400),
  requireExpiration: flag(true),
  strict: readStrict,
  typ: text(undefined),
  cacheSize: integer(0, 10_000_000, "", 10_000),
  store: optional(undefined, readTokenStore),
  onStoreError: oneOf(["deny", "allow"], "deny"),
};

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
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns all that the table reads.
export class JwtConfig {
  constructor(options: JwtOptions) {
    strictConstruction("new JwtConfig(options)", arguments);
    const fields = new Fields("JwtConfig", options, READERS);
    const { secret: _, ...values } = fields.values;
    checkKeySet(fields, values);
    const hasOwnKeys = values.jwksUri === undefined;
    preparedKeys.set(this, Object.freeze(hasOwnKeys ? readKeys(fields, values) : []));
    givenSecrets.set(this, hasOwnKeys ? options.secret : undefined);
    Object.freeze(Object.assign(this, values, { excludedPaths: new PathPatterns(values.exclude) }));
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

export interface JwtConfig extends JwtValues {
  /** `exclude`, ready to be held against paths. */
  readonly excludedPaths: PathPatterns;
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

function readJwksUri(fields: Fields, name: string, given: unknown): string {
  const uri = textOf(fields, name, given);
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname)))) {
    const mend = "give a URL that begins with https:// (http:// for loopback hosts only)";
    return fields.invalid(name, "is not an https URL", mend);
  }
  if (url.username !== "" || url.password !== "") {
    fields.invalid(name, "contains credentials", "give a URL without user name and password");
  }
  return uri;
}

/** The parser has already made one form of every way to write an address: `127.1`, `0x7f.1`. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Keys come from the application or from a JWK Set, and what is published is no secret. */
function checkKeySet(fields: Fields, { jwksUri, algorithm, jwksMaxAge, jwksMaxStale }: JwtValues): void {
  if (jwksUri === undefined) {
    const useless = ["jwksCooldown", "jwksTimeout", "jwksMaxAge", "jwksMaxStale"].find((name) => fields.has(name));
    if (useless !== undefined) fields.conflict(useless, "has no effect without jwksUri", "leave it out");
    return;
  }
  if (fields.has("secret")) fields.conflict("jwksUri", "is given together with secret", "keep one of the two");
  if (ALGORITHMS[algorithm].kind === "hmac") {
    const problem = `cannot be used with ${algorithm}, whose keys are secret`;
    fields.conflict("jwksUri", problem, 'set the algorithm to that of the published keys, for example "RS256"');
  }
  if (jwksMaxStale < jwksMaxAge) {
    fields.conflict("jwksMaxStale", "is less than jwksMaxAge", "give at least jwksMaxAge, or leave it out");
  }
}

function readKeys(fields: Fields, { algorithm, strict }: JwtValues): readonly PreparedKey[] {
  const readAll = secrets(
    "give at least one secret or key",
    (_fields, name, given) => readKey(fields, name, given, algorithm, strict),
    ({ fingerprint }) => fingerprint,
  );
  const mend = 'give a secret of your own ("npx cello secret" makes one), a key, or a jwksUri';
  return required(mend, optional(undefined, readAll))(fields, "secret");
}

function readKey(
  fields: Fields,
  name: string,
  given: unknown,
  algorithm: AlgorithmName,
  isStrict: boolean,
): PreparedKey {
  const { subject } = fields;
  if (typeof given !== "string" && (typeof given !== "object" || given === null || Array.isArray(given))) {
    const mend = 'give one of them; "npx cello secret" makes a secret';
    return fields.wrongType(name, "must be a string, bytes, PEM, a JWK or a KeyObject", mend);
  }
  try {
    // Which of its objects are keys, it finds out itself.
    return prepareKey(given as KeyInput, ALGORITHMS[algorithm], (hmac, secret) => {
      const what = `an ${hmac.name} key`;
      checkSecretStrength({ subject, field: name, what, neededBytes: hmac.keyBytes, secret, isStrict });
    });
  } catch (error) {
    if (!(error instanceof UnfitKeyError)) throw error;
    return fields.invalid(name, error.problem, error.mend);
  }
}
