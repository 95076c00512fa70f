import { ConfigError } from "./errors.js";

/** A secret that is to be held against what its use needs. */
export interface SecretStrength {
  /** The config class, for the message: `JwtConfig`. */
  readonly subject: string;
  /** The field that holds the secret: `secret`. */
  readonly field: string;
  /** What the secret is used as: `an HS256 key`. */
  readonly what: string;
  /** How many bytes the use needs. */
  readonly neededBytes: number;
  /** How many bytes the secret has. */
  readonly actualBytes: number;
  /** `true`: a short secret throws; `false`: it works and the process warns once. */
  readonly isStrict: boolean;
}

let hasWarned = false;

/**
 * The one policy for short secrets: refused when strict, otherwise one warning per process with the
 * code `CELLO_WEAK_SECRET`, so that samples and tests run. An empty secret is always refused.
 *
 * @throws ConfigError with code `CELLO_WEAK_SECRET`
 */
export function checkSecretStrength(input: SecretStrength): void {
  const { subject, field, what, neededBytes, actualBytes, isStrict } = input;
  if (actualBytes >= neededBytes) return;
  const error = new ConfigError({
    code: "CELLO_WEAK_SECRET",
    subject,
    field,
    problem: `${what} needs at least ${neededBytes} bytes, got ${actualBytes}`,
    mend: 'make one with "npx cello secret"',
  });
  if (isStrict || actualBytes === 0) throw error;
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(`${error.message} (refused when NODE_ENV is "production" or strict is true)`, {
    code: "CELLO_WEAK_SECRET",
  });
}

/** What the `strict` field of a configuration is when it is not given: whether this is production. */
export function strictByDefault(): boolean {
  return process.env.NODE_ENV === "production";
}
