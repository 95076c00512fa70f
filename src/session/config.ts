import { inspect } from "node:util";
import { keyMaterialIn } from "../core/key-material.js";
import {
  describe,
  describeKind,
  Fields,
  fitting,
  flag,
  integer,
  isHttpToken,
  object,
  oneOf,
  optional,
  or,
  type Readers,
  required,
  type Settled,
  text,
} from "../core/options.js";
import { checkSecretStrength, isProduction, readStrict, secrets } from "../core/secret-strength.js";
import { strictConstruction } from "../core/strict-calls.js";
import type { SessionStore } from "./store.js";

/** Key material for sessions: text (its UTF-8 bytes count) or bytes. */
export type SessionSecret = string | Uint8Array;

/** When a browser sends the cookie with requests that come from other sites (RFC 6265bis). */
export type SameSite = "Strict" | "Lax" | "None";

/** Options of `SessionConfig`; times in seconds. */
export interface SessionOptions {
  /** Key material, at least 32 bytes. In a list the first seals and signs, and all open (rotation). */
  readonly secret: SessionSecret | readonly SessionSecret[];
  /** Name of the cookie. Default: `"session_id"`. */
  readonly cookieName?: string | undefined;
  /** Lifetime of the cookie and absolute lifetime of the session. Default: 86400 (one day). */
  readonly maxAge?: number | undefined;
  /** Hides the cookie from scripts. Default: `true`. */
  readonly httponly?: boolean | undefined;
  /** The same as `httponly`. */
  readonly httpOnly?: boolean | undefined;
  /**
   * Sends the cookie over TLS only; `"auto"`: when the request that it answers came over TLS, to this server or to a
   * proxy that `trustProxy` names. Default: `false`.
   */
  readonly secure?: boolean | "auto" | undefined;
  /** Default: `"Lax"`. `"None"` needs `secure: true`. */
  readonly sameSite?: SameSite | undefined;
  /** Default: `"/"`. */
  readonly path?: string | undefined;
  /** Also sends the cookie to the subdomains of this host. Default: only to the host that set it. */
  readonly domain?: string | undefined;
  /** Ends a session that was unused for so long. Default: none. */
  readonly idleTimeout?: number | undefined;
  /** Renews cookie and lifetime on use, at most once per tenth of `maxAge`. Default: `false`. */
  readonly rolling?: boolean | undefined;
  /** Where sessions are kept. Default: sealed in the cookie itself. */
  readonly store?: SessionStore | undefined;
  /**
   * The key of `session.set` that says whose session it is, a string or a number: by it `app.sessions`
   * lists and revokes. Default: `"userId"`.
   */
  readonly userKey?: string | undefined;
  /**
   * How many bytes the values of one session may have in a `store`: what one client keeps there must not
   * take the room, or the time, of all others. Default: 262144 (256 KiB).
   */
  readonly maxBytes?: number | undefined;
  /** A cookie per top-level site (CHIPS); needs `secure`. Default: `false`. */
  readonly partitioned?: boolean | undefined;
  /** Whether a weak secret (under 32 bytes, repeating, published) throws. Default: when `NODE_ENV` is `"production"`. */
  readonly strict?: boolean | undefined;
}

// Browsers cut cookie lifetimes at 400 days (RFC 6265bis section 5.5): a longer one cannot be kept.
const MAX_AGE_LIMIT = 400 * 86_400;
const HOST_NAME = /^\.?(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i;
const NEEDED_SECRET_BYTES = 32;
const SECRET_MEND = 'give a random secret of at least 32 bytes, such as "npx cello secret" prints';

/** What a {@link SessionConfig} keeps of its options, beside the secrets. */
type SessionValues = Settled<Omit<SessionOptions, "secret">, "domain" | "idleTimeout" | "store">;

const READERS: Readers<SessionValues & { readonly secret: readonly Uint8Array[] }> = {
  secret: required(
    SECRET_MEND,
    optional(
      undefined,
      secrets(SECRET_MEND, readSecret, (bytes) => Buffer.from(bytes).toString("latin1")),
    ),
  ),
  cookieName: fitting(
    text("session_id"),
    (name) => isHttpToken(name) && name.length <= 256,
    (name) => `${describe(name)} is not a cookie name`,
    'use up to 256 letters, digits, "_", "-" and "."',
  ),
  maxAge: integer(1, MAX_AGE_LIMIT, "seconds", 86_400),
  httponly: readHttpOnly,
  httpOnly: readHttpOnly,
  secure: or("auto", flag(false)),
  sameSite: oneOf(["Strict", "Lax", "None"], "Lax"),
  path: fitting(
    text("/"),
    // RFC 6265 section 4.1.1: no controls and no ";", which would begin another attribute.
    (path) => /^\/[\x20-\x3a\x3c-\x7e]*$/.test(path) && path.length <= 1024 && !path.endsWith(" "),
    (path) => `${describe(path)} cannot be the path of a cookie`,
    'write an ASCII path that begins with "/" and has no ";"',
  ),
  domain: fitting(
    text(undefined),
    (domain) => HOST_NAME.test(domain) && domain.length <= 253,
    (domain) => `${describe(domain)} is not a host name`,
    'write the host alone, such as "example.com", without scheme, port or path',
  ),
  idleTimeout: integer(1, MAX_AGE_LIMIT, "seconds", undefined),
  rolling: flag(false),
  store: object<SessionStore>(
    ["load", "save", "touch", "delete"],
    "a store",
    "give a MemorySessionStore or another SessionStore",
  ),
  userKey: text("userId"),
  maxBytes: integer(1024, 67_108_864, "bytes", 262_144),
  partitioned: flag(false),
  strict: readStrict,
};

/**
 * How sessions work: cookie, lifetimes and where the data is kept.
 *
 * @example
 * ```ts
 * app.enableSession(new SessionConfig({ secret: process.env.SESSION_SECRET, secure: true }));
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns all that the table reads.
export class SessionConfig {
  readonly #secrets: readonly Uint8Array[];
  readonly #isSecureForgotten: boolean;

  /** @throws ConfigError for a field that is unknown, of the wrong type, or cannot be used */
  constructor(options: SessionOptions) {
    strictConstruction("new SessionConfig(options)", arguments);
    const fields = new Fields("SessionConfig", options, READERS);
    const { secret, ...values } = fields.values;
    checkTogether(fields, values);
    this.#secrets = secret;
    this.#isSecureForgotten = !fields.has("secure") && isProduction();
    Object.freeze(Object.assign(this, values));
  }

  /** The secrets as copies of their bytes, the one that seals and signs first. */
  get secret(): readonly Uint8Array[] {
    return this.#secrets.map((bytes) => bytes.slice());
  }

  /** Whether nobody said what `secure` is, in production: a cookie without it over HTTPS is a slip then. */
  get isSecureForgotten(): boolean {
    return this.#isSecureForgotten;
  }

  toJSON(): Record<string, unknown> {
    return { ...Object.fromEntries(Object.entries(this)), secret: "[secret]", store: this.store?.constructor.name };
  }

  [inspect.custom](): string {
    return `SessionConfig ${inspect(this.toJSON())}`;
  }
}

export interface SessionConfig extends SessionValues {}

function readSecret(fields: Fields, name: string, given: unknown): Uint8Array {
  const { subject } = fields;
  const secret = typeof given === "string" ? new TextEncoder().encode(given) : given;
  if (!(secret instanceof Uint8Array)) {
    return fields.wrongType(name, `must be a string or bytes, got ${describeKind(given)}`, SECRET_MEND);
  }
  const isStrict = readStrict(fields, "strict");
  const what = "a session secret";
  checkSecretStrength({ subject, field: name, what, neededBytes: NEEDED_SECRET_BYTES, secret, isStrict });
  const found = keyMaterialIn(secret);
  if (found !== undefined) {
    fields.invalid(name, `must be a secret of its own, got ${found}`, 'make one with "npx cello secret"');
  }
  return Uint8Array.from(secret);
}

function readHttpOnly(fields: Fields): boolean {
  const lower = flag(undefined)(fields, "httponly");
  const camel = flag(undefined)(fields, "httpOnly");
  if (lower !== undefined && camel !== undefined && lower !== camel) {
    fields.conflict("httpOnly", "says the opposite of httponly", "give one of the two");
  }
  return lower ?? camel ?? true;
}

/** The rules that bind several fields: those of browsers (RFC 6265bis, CHIPS) and of lifetimes. */
function checkTogether(fields: Fields, config: SessionValues): void {
  const { cookieName } = config;
  // "auto" is no promise: over plain HTTP browsers would drop such a cookie.
  const secure = config.secure === true;
  if (config.sameSite === "None" && !secure) {
    fields.conflict("sameSite", 'browsers drop a "None" cookie that is not secure', "set secure: true");
  }
  if (config.partitioned && !secure) {
    fields.conflict("partitioned", "browsers drop it on a cookie that is not secure", "set secure: true");
  }
  // Browsers compare these prefixes without regard to case.
  const lowerName = cookieName.toLowerCase();
  if (lowerName.startsWith("__secure-") && !secure) {
    fields.conflict("cookieName", "the prefix __Secure- needs a secure cookie", "set secure: true");
  }
  const isHostOnly = secure && config.path === "/" && config.domain === undefined;
  if (lowerName.startsWith("__host-") && !isHostOnly) {
    fields.conflict(
      "cookieName",
      'the prefix __Host- needs a secure cookie with the path "/" and no domain',
      'set secure: true and path: "/", and leave domain out',
    );
  }
  if (config.idleTimeout !== undefined && config.idleTimeout > config.maxAge) {
    fields.conflict("idleTimeout", "is longer than maxAge", "give at most maxAge, or leave it out");
  }
}
