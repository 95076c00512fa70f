import { inspect } from "node:util";
import { keyMaterialIn } from "../core/key-material.js";
import { ConfigFields, describe, isHttpToken } from "../core/options.js";
import { checkSecretStrength, refuseTwice, strictByDefault } from "../core/secret-strength.js";
import { strictConstruction } from "../core/strict-calls.js";
import { isSessionStore, missingStoreMethods, type SessionStore } from "./store.js";

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

const FIELDS = [
  "secret",
  "cookieName",
  "maxAge",
  "httponly",
  "httpOnly",
  "secure",
  "sameSite",
  "path",
  "domain",
  "idleTimeout",
  "rolling",
  "store",
  "userKey",
  "maxBytes",
  "partitioned",
  "strict",
] as const;

// Browsers cut cookie lifetimes at 400 days (RFC 6265bis section 5.5): a longer one cannot be kept.
const MAX_AGE_LIMIT = 400 * 86_400;
const NEEDED_SECRET_BYTES = 32;

/**
 * How sessions work: cookie, lifetimes and where the data is kept.
 *
 * @example
 * ```ts
 * app.enableSession(new SessionConfig({ secret: process.env.SESSION_SECRET, secure: true }));
 * ```
 */
export class SessionConfig {
  readonly cookieName: string;
  readonly maxAge: number;
  readonly httponly: boolean;
  readonly httpOnly: boolean;
  readonly secure: boolean | "auto";
  readonly sameSite: SameSite;
  readonly path: string;
  readonly domain: string | undefined;
  readonly idleTimeout: number | undefined;
  readonly rolling: boolean;
  readonly store: SessionStore | undefined;
  readonly userKey: string;
  readonly maxBytes: number;
  readonly partitioned: boolean;
  readonly strict: boolean;
  readonly #secrets: readonly Uint8Array[];
  readonly #isSecureForgotten: boolean;

  /** @throws ConfigError for a field that is unknown, of the wrong type, or cannot be used */
  constructor(options: SessionOptions) {
    strictConstruction("new SessionConfig(options)", arguments);
    const fields = new ConfigFields("SessionConfig", options, FIELDS);
    this.strict = fields.boolean("strict", strictByDefault());
    this.#secrets = readSecrets(fields, this.strict);
    this.secure = fields.raw("secure") === "auto" ? "auto" : fields.boolean("secure", false);
    this.#isSecureForgotten = fields.raw("secure") === undefined && strictByDefault();
    this.httponly = readHttpOnly(fields);
    this.httpOnly = this.httponly;
    this.partitioned = fields.boolean("partitioned", false);
    this.sameSite = fields.oneOf<SameSite, SameSite>("sameSite", ["Strict", "Lax", "None"], "Lax");
    this.path = readPath(fields);
    this.domain = readDomain(fields);
    this.cookieName = readCookieName(fields);
    this.maxAge = fields.number("maxAge", 86_400, { min: 1, max: MAX_AGE_LIMIT, whole: true, unit: "seconds" });
    this.idleTimeout = fields.number("idleTimeout", undefined, {
      min: 1,
      max: MAX_AGE_LIMIT,
      whole: true,
      unit: "seconds",
    });
    this.rolling = fields.boolean("rolling", false);
    this.store = readStore(fields);
    this.userKey = fields.string("userKey", "userId");
    this.maxBytes = fields.number("maxBytes", 262_144, { min: 1024, max: 67_108_864, whole: true, unit: "bytes" });
    checkTogether(fields, this);
    Object.freeze(this);
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

function readSecrets(fields: ConfigFields, isStrict: boolean): readonly Uint8Array[] {
  const mend = 'give a random secret of at least 32 bytes, such as "npx cello secret" prints';
  fields.require("secret", mend);
  const given = fields.raw("secret");
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0) fields.fail("CELLO_INVALID_VALUE", "secret", "is an empty list", mend);
  const secrets = list.map((secret) => {
    const bytes = secretBytes(secret);
    if (bytes === undefined) {
      const kind = secret === null ? "null" : Array.isArray(secret) ? "a list" : `a value of type ${typeof secret}`;
      fields.fail("CELLO_WRONG_TYPE", "secret", `must be a string or bytes, got ${kind}`, mend);
    }
    checkSecretStrength({
      subject: "SessionConfig",
      field: "secret",
      what: "a session secret",
      neededBytes: NEEDED_SECRET_BYTES,
      secret: bytes,
      isStrict,
    });
    const found = keyMaterialIn(bytes);
    if (found !== undefined) {
      const own = 'make one with "npx cello secret"';
      fields.fail("CELLO_INVALID_VALUE", "secret", `must be a secret of its own, got ${found}`, own);
    }
    return bytes;
  });
  refuseTwice(
    fields,
    "secret",
    secrets.map((bytes) => Buffer.from(bytes).toString("latin1")),
  );
  return secrets;
}

function secretBytes(secret: unknown): Uint8Array | undefined {
  if (typeof secret === "string") return new TextEncoder().encode(secret);
  return secret instanceof Uint8Array ? Uint8Array.from(secret) : undefined;
}

function readHttpOnly(fields: ConfigFields): boolean {
  const lower = fields.boolean("httponly", undefined);
  const camel = fields.boolean("httpOnly", undefined);
  if (lower !== undefined && camel !== undefined && lower !== camel) {
    fields.fail("CELLO_CONFLICT", "httpOnly", "says the opposite of httponly", "give one of the two");
  }
  return lower ?? camel ?? true;
}

function readCookieName(fields: ConfigFields): string {
  const name = fields.string("cookieName", "session_id");
  if (!isHttpToken(name) || name.length > 256) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "cookieName",
      `${describe(name)} is not a cookie name`,
      'use up to 256 letters, digits, "_", "-" and "."',
    );
  }
  return name;
}

function readPath(fields: ConfigFields): string {
  const path = fields.string("path", "/");
  // RFC 6265 section 4.1.1: no controls and no ";", which would begin another attribute.
  if (!/^\/[\x20-\x3a\x3c-\x7e]*$/.test(path) || path.length > 1024 || path.endsWith(" ")) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "path",
      `${describe(path)} cannot be the path of a cookie`,
      'write an ASCII path that begins with "/" and has no ";"',
    );
  }
  return path;
}

function readDomain(fields: ConfigFields): string | undefined {
  const domain = fields.string("domain", undefined);
  if (domain === undefined) return undefined;
  const isHostName = /^\.?(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i.test(domain);
  if (!isHostName || domain.length > 253) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "domain",
      `${describe(domain)} is not a host name`,
      'write the host alone, such as "example.com", without scheme, port or path',
    );
  }
  return domain;
}

function readStore(fields: ConfigFields): SessionStore | undefined {
  const store = fields.raw("store");
  if (store === undefined) return undefined;
  if (isSessionStore(store)) return store;
  const isObject = typeof store === "object" && store !== null;
  // Not its value: what is given instead of a store is often a URL, and that may hold a password.
  const kind = store === null ? "null" : `a ${typeof store}`;
  const problem = isObject ? `lacks ${missingStoreMethods(store).join(", ")}()` : `is ${kind}, not a store`;
  fields.fail("CELLO_WRONG_TYPE", "store", problem, "give a MemorySessionStore or another SessionStore");
}

/** The rules that bind several fields: those of browsers (RFC 6265bis, CHIPS) and of lifetimes. */
function checkTogether(fields: ConfigFields, config: SessionConfig): void {
  const { cookieName } = config;
  // "auto" is no promise: over plain HTTP browsers would drop such a cookie.
  const secure = config.secure === true;
  if (config.sameSite === "None" && !secure) {
    fields.fail("CELLO_CONFLICT", "sameSite", 'browsers drop a "None" cookie that is not secure', "set secure: true");
  }
  if (config.partitioned && !secure) {
    fields.fail("CELLO_CONFLICT", "partitioned", "browsers drop it on a cookie that is not secure", "set secure: true");
  }
  // Browsers compare these prefixes without regard to case.
  const lowerName = cookieName.toLowerCase();
  if (lowerName.startsWith("__secure-") && !secure) {
    fields.fail("CELLO_CONFLICT", "cookieName", "the prefix __Secure- needs a secure cookie", "set secure: true");
  }
  const isHostOnly = secure && config.path === "/" && config.domain === undefined;
  if (lowerName.startsWith("__host-") && !isHostOnly) {
    fields.fail(
      "CELLO_CONFLICT",
      "cookieName",
      'the prefix __Host- needs a secure cookie with the path "/" and no domain',
      'set secure: true and path: "/", and leave domain out',
    );
  }
  if (config.idleTimeout !== undefined && config.idleTimeout > config.maxAge) {
    fields.fail("CELLO_CONFLICT", "idleTimeout", "is longer than maxAge", "give at most maxAge, or leave it out");
  }
}
