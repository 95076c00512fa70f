import { ConfigError, type ConfigErrorCode } from "../../core/errors.js";

/**
 * Refuses a call on the CSP builder.
 *
 * @param method the builder's method, for example `scriptSrc`
 * @throws ConfigError always, with the subject `CSP`
 */
export function refuse(
  method: string,
  problem: string,
  mend: string,
  code: ConfigErrorCode = "CELLO_INVALID_VALUE",
): never {
  throw new ConfigError({ code, subject: "CSP", field: method, problem, mend });
}

/** A source in a message: quoted as JSON, so that control characters cannot reach a terminal, and cut short. */
export function shown(source: string): string {
  return JSON.stringify(source.length > 80 ? `${source.slice(0, 80)}…` : source);
}
