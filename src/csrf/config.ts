import { type Fields, read, texts } from "../core/options.js";
import { strictConstruction } from "../core/strict-calls.js";
import { readOrigins } from "../origins/read-origins.js";

/** Options of `CsrfConfig`. */
export interface CsrfOptions {
  /**
   * Other origins whose pages may send unsafe requests here, each as `scheme://host` or
   * `scheme://host:port`, or for all names below a name as `https://*.example.com`. Default: none.
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
  /** As browsers write them. */
  readonly trustedOrigins: readonly string[];

  /** @throws ConfigError for an unknown field, an entry that is no origin, or a pattern that reaches strangers */
  constructor(options?: CsrfOptions) {
    strictConstruction("new CsrfConfig(options)", arguments);
    this.trustedOrigins = read("CsrfConfig", options, { trustedOrigins: readTrustedOrigins }).trustedOrigins;
    Object.freeze(this);
  }
}

function readTrustedOrigins(fields: Fields, name: string): readonly string[] {
  const given = texts([])(fields, name);
  if (given.includes("*")) fields.invalid(name, '"*" would trust every site', "name the origins");
  return readOrigins(fields, name, given);
}
