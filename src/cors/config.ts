import {
  Fields,
  fitting,
  flag,
  integer,
  isHttpToken,
  type Readers,
  required,
  type Settled,
  textOrTexts,
  texts,
} from "../core/options.js";
import { strictConstruction } from "../core/strict-calls.js";
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

/** Preflights of one client that are answered in a minute, unless a configuration says otherwise. */
export const PREFLIGHTS_PER_MINUTE = 600;

/** Methods that are never meant in lower case. */
const USUAL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/** What no page may send (Fetch, "forbidden method"). */
const FORBIDDEN_METHODS = ["CONNECT", "TRACE", "TRACK"];

/** What a {@link CorsConfig} keeps of its options. */
interface CorsValues extends Settled<Omit<CorsOptions, "origins">, "allowedHeaders"> {
  /** As browsers write them. */
  readonly origins: readonly string[];
}

const ONE_NAME = [
  isHttpToken,
  (name: string) => `${JSON.stringify(name)} is not one name`,
  "write each name as an entry of its own",
] as const;

const READERS: Readers<CorsValues> = {
  origins: readAllowedOrigins,
  credentials: flag(false),
  methods: (fields, name) => Object.freeze([...new Set(readMethods(fields, name))]),
  allowedHeaders: fitting(texts(undefined), ...ONE_NAME),
  exposedHeaders: fitting(texts([]), ...ONE_NAME),
  maxAge: integer(0, 86_400, "seconds", 600),
  privateNetwork: flag(false),
  preflightsPerMinute: integer(1, 1_000_000, "", PREFLIGHTS_PER_MINUTE),
};

/**
 * Which pages of other origins may use the application: cross-origin resource sharing, by the Fetch standard.
 *
 * @example
 * ```ts
 * app.enableCors(new CorsConfig({ origins: ["https://spa.example"], credentials: true }));
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns all that the table reads.
export class CorsConfig {
  /** @throws ConfigError for an unknown field, an entry that is no origin, and what browsers would not follow */
  constructor(options: CorsOptions) {
    strictConstruction("new CorsConfig(options)", arguments);
    const fields = new Fields("CorsConfig", options, READERS);
    if (fields.values.credentials) refuseStars(fields, fields.values);
    Object.freeze(Object.assign(this, fields.values));
  }
}

export interface CorsConfig extends CorsValues {}

function readAllowedOrigins(fields: Fields, name: string): readonly string[] {
  const given = required('name the origins, such as ["https://app.example"]', textOrTexts)(fields, name);
  const origins = readOrigins(fields, name, typeof given === "string" ? [given] : given);
  if (origins.includes("*") && origins.length > 1) {
    fields.conflict(name, '"*" stands beside other origins', 'write "*" alone, or leave it out');
  }
  return origins;
}

function readMethods(fields: Fields, name: string): readonly string[] {
  const methods = fitting(texts(["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]), ...ONE_NAME)(fields, name);
  for (const method of methods) {
    const upper = method.toUpperCase();
    if (FORBIDDEN_METHODS.includes(upper)) {
      fields.invalid(name, `"${method}" is a method that no page may send`, "leave it out");
    }
    // Methods are case-sensitive, and browsers compare them so.
    if (method !== upper && USUAL_METHODS.includes(upper)) {
      fields.invalid(name, `"${method}" is not "${upper}"`, `write "${upper}"`);
    }
  }
  return methods;
}

/** Beside credentials `"*"` means nothing good, and browsers do not take it for everything. */
function refuseStars(fields: Fields, { origins, methods, allowedHeaders, exposedHeaders }: CorsValues): void {
  if (origins.includes("*")) {
    const problem = '"*" with credentials would hand every user\'s data to every site, and browsers refuse it';
    fields.conflict("origins", problem, "name the origins, or leave credentials out");
  }
  for (const [name, list] of Object.entries({ methods, allowedHeaders, exposedHeaders })) {
    if (list?.includes("*") !== true) continue;
    const problem = '"*" beside credentials stands for a name that is "*", and for no other';
    fields.conflict(name, problem, "write the names one by one");
  }
}
