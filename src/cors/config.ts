import { ConfigFields, isHttpToken } from "../core/options.js";
import { strictConstruction } from "../core/strict-calls.js";
import type { OriginList } from "../origins/origin-list.js";
import { readOrigins } from "../origins/read-origins.js";

/** Options of `CorsConfig`. */
export interface CorsOptions {
  /**
   * Whose pages may read answers: `https://app.example`, with a port where it is not the scheme's own;
   * `https://*.example.com` for all names below a name; or `"*"` alone for everybody, without credentials.
   */
  readonly origins: string | readonly string[];
  /** Whether those pages may send cookies, and read what comes back. Default: no. */
  readonly credentials?: boolean | undefined;
  /** Methods that they may use beside GET, HEAD and POST. Default: `PUT`, `PATCH` and `DELETE`. */
  readonly methods?: readonly string[] | undefined;
  /** Request headers that they may set. Default: those that are asked for. */
  readonly allowedHeaders?: readonly string[] | undefined;
  /** Answer headers that they may read, beside `RateLimit`, `RateLimit-Policy` and `Retry-After`. Default: none. */
  readonly exposedHeaders?: readonly string[] | undefined;
  /** For how long a browser may remember the answer to a preflight, in seconds. Default: 600. */
  readonly maxAge?: number | undefined;
  /** Whether pages of public networks may ask for this server in a private one. Default: no. */
  readonly privateNetwork?: boolean | undefined;
  /** Preflights of one client that are answered in a minute; a preflight takes no other quota. Default: 600. */
  readonly preflightsPerMinute?: number | undefined;
}

const FIELDS = [
  "origins",
  "credentials",
  "methods",
  "allowedHeaders",
  "exposedHeaders",
  "maxAge",
  "privateNetwork",
  "preflightsPerMinute",
] as const;

/** Preflights of one client that are answered in a minute, unless a configuration says otherwise. */
export const PREFLIGHTS_PER_MINUTE = 600;

/** Methods that nobody writes in lower case and means so. */
const USUAL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/** What no page may send (Fetch, "forbidden method"). */
const FORBIDDEN_METHODS = ["CONNECT", "TRACE", "TRACK"];

const originLists = new WeakMap<CorsConfig, OriginList>();

/**
 * Which pages of other origins may use the application: cross-origin resource sharing, by the Fetch standard.
 *
 * @example
 * ```ts
 * app.enableCors(new CorsConfig({ origins: ["https://spa.example"], credentials: true }));
 * ```
 */
export class CorsConfig {
  /** As browsers write them. */
  readonly origins: readonly string[];
  readonly credentials: boolean;
  readonly methods: readonly string[];
  /** `undefined`: those that are asked for. */
  readonly allowedHeaders: readonly string[] | undefined;
  readonly exposedHeaders: readonly string[];
  readonly maxAge: number;
  readonly privateNetwork: boolean;
  readonly preflightsPerMinute: number;

  /** @throws ConfigError for an unknown field, an entry that is no origin, and what browsers would not follow */
  constructor(options: CorsOptions) {
    strictConstruction("new CorsConfig(options)", arguments);
    const fields = new ConfigFields("CorsConfig", options, FIELDS);
    fields.require("origins", 'name the origins, such as ["https://app.example"]');
    const given = fields.oneOrMoreStrings("origins") ?? [];
    const list = readOrigins(fields, "origins", given);
    this.origins = list.entries;
    this.credentials = fields.boolean("credentials", false);
    checkAnyOrigin(fields, list, this.credentials);
    this.methods = readMethods(fields, this.credentials);
    this.allowedHeaders = fields.has("allowedHeaders")
      ? readNames(fields, "allowedHeaders", this.credentials)
      : undefined;
    this.exposedHeaders = readNames(fields, "exposedHeaders", this.credentials);
    this.maxAge = fields.number("maxAge", 600, { min: 0, max: 86_400, whole: true, unit: "seconds" });
    this.privateNetwork = fields.boolean("privateNetwork", false);
    this.preflightsPerMinute = fields.number("preflightsPerMinute", PREFLIGHTS_PER_MINUTE, {
      min: 1,
      max: 1_000_000,
      whole: true,
    });
    originLists.set(this, list);
    Object.freeze(this);
  }
}

/** The origins of a configuration, ready to be asked. */
export function originsOf(config: CorsConfig): OriginList {
  const list = originLists.get(config);
  if (list === undefined) throw new TypeError("a CorsConfig is made with new");
  return list;
}

function checkAnyOrigin(fields: ConfigFields, list: OriginList, credentials: boolean): void {
  if (!list.allowsAny) return;
  if (credentials) {
    const problem = '"*" with credentials would hand every user\'s data to every site, and browsers refuse it';
    fields.fail("CELLO_CONFLICT", "origins", problem, "name the origins, or leave credentials out");
  }
  if (list.entries.length > 1) {
    fields.fail("CELLO_CONFLICT", "origins", '"*" stands beside other origins', 'write "*" alone, or leave it out');
  }
}

function readMethods(fields: ConfigFields, credentials: boolean): readonly string[] {
  const methods = fields.strings("methods") ?? ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];
  for (const method of methods) {
    checkName(fields, "methods", method, credentials);
    const upper = method.toUpperCase();
    if (FORBIDDEN_METHODS.includes(upper)) {
      fields.fail("CELLO_INVALID_VALUE", "methods", `"${method}" is a method that no page may send`, "leave it out");
    }
    // Methods are case-sensitive, and browsers compare them so.
    if (method !== upper && USUAL_METHODS.includes(upper)) {
      fields.fail("CELLO_INVALID_VALUE", "methods", `"${method}" is not "${upper}"`, `write "${upper}"`);
    }
  }
  return Object.freeze([...new Set(methods)]);
}

function readNames(fields: ConfigFields, field: string, credentials: boolean): readonly string[] {
  const names = fields.strings(field) ?? [];
  for (const name of names) checkName(fields, field, name, credentials);
  return Object.freeze([...names]);
}

function checkName(fields: ConfigFields, field: string, name: string, credentials: boolean): void {
  if (!isHttpToken(name)) {
    const problem = `${JSON.stringify(name)} is not one name`;
    fields.fail("CELLO_INVALID_VALUE", field, problem, "write each name as an entry of its own");
  }
  if (name === "*" && credentials) {
    const problem = '"*" beside credentials stands for a name that is "*", and for no other';
    fields.fail("CELLO_CONFLICT", field, problem, "write the names one by one");
  }
}
