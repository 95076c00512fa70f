import { ConfigError, type ConfigErrorCode } from "../../core/errors.js";
import { describe, hasControlCharacter } from "../../core/options.js";

/**
 * Checks what holds for every word of a policy: white space, `;` and `,` would end the word, the
 * directive or the policy (RFC 9110 section 5.3, CSP3 section 2.2), and a policy is ASCII.
 */
export function readWord(method: string, word: unknown): string {
  if (typeof word !== "string") {
    refuse(
      method,
      `takes strings, got ${describe(word)}`,
      `write each one as an argument of its own: ${method}("...", "...")`,
      "CELLO_WRONG_TYPE",
    );
  }
  if (word === "") refuse(method, "got an empty string", "leave it out");
  if (hasControlCharacter(word)) {
    refuse(method, `${shown(word)} contains a control character`, "remove line breaks and other control characters");
  }
  if (/\s/.test(word)) {
    refuse(method, `${shown(word)} contains white space`, "write each one as an argument of its own");
  }
  if (/[;,]/.test(word)) {
    refuse(
      method,
      `${shown(word)} contains "${word.includes(";") ? ";" : ","}", which would end the directive`,
      'write it as "%3B" or "%2C" in a path, or call a method for each directive',
    );
  }
  if (/[^\u0021-\u007e]/.test(word)) {
    refuse(
      method,
      `${shown(word)} is not ASCII`,
      'write a host name in punycode ("xn--...") and a path percent-encoded',
    );
  }
  return word;
}

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
