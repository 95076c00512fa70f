import { ConfigFields } from "../config-fields.js";

/** Options of `CsrfConfig`. */
export interface CsrfOptions {
  /**
   * Other origins whose pages may send unsafe requests here, each as `scheme://host` or
   * `scheme://host:port`, exactly as a browser writes it in `Origin`. Default: none.
   */
  readonly trustedOrigins?: readonly string[] | undefined;
}

/**
 * How requests that other sites' pages make are refused.
 *
 * @example
 * ```ts
 * app.enableCsrf(new CsrfConfig({ trustedOrigins: ["https://accounts.example.com"] }));
 * ```
 */
export class CsrfConfig {
  readonly trustedOrigins: readonly string[];

  /** @throws ConfigError for an unknown field, or an entry that is not an origin */
  constructor(options?: CsrfOptions) {
    const fields = new ConfigFields("CsrfConfig", options, ["trustedOrigins"]);
    this.trustedOrigins = fields.strings("trustedOrigins") ?? Object.freeze([]);
    for (const origin of this.trustedOrigins) checkOrigin(fields, origin);
    Object.freeze(this);
  }
}

function checkOrigin(fields: ConfigFields, origin: string): void {
  const problem = originProblem(origin);
  if (problem === undefined) return;
  const mend = 'write scheme, host and port alone, such as "https://accounts.example.com"';
  fields.fail("CELLO_INVALID_VALUE", "trustedOrigins", `${JSON.stringify(origin)} ${problem}`, mend);
}

function originProblem(origin: string): string | undefined {
  if (!URL.canParse(origin)) return "is not an origin";
  const { protocol, host } = new URL(origin);
  if (host === "") return "names no host";
  const serialised = `${protocol}//${host}`;
  // Compared as text with what browsers send, so another spelling would silently never match.
  return origin === serialised ? undefined : `is never sent by a browser, which would write "${serialised}"`;
}
