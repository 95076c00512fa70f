import { ConfigError } from "./errors.js";
import { type Fields, flag, type Reader } from "./options.js";

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
  readonly secret: Uint8Array;
  /** `true`: a weak secret throws; `false`: it works and the process warns once. */
  readonly isStrict: boolean;
}

let hasWarned = false;

/**
 * The one policy for weak secrets: refused when strict, otherwise one warning per process with the code
 * `CELLO_WEAK_SECRET`, so that samples and tests run. An empty secret is always refused.
 *
 * @throws ConfigError with code `CELLO_WEAK_SECRET`
 */
export function checkSecretStrength(input: SecretStrength): void {
  const problem = weaknessOf(input);
  if (problem === undefined) return;
  const { subject, field, secret, isStrict } = input;
  const mend = 'make one with "npx cello secret"';
  const error = new ConfigError({ code: "CELLO_WEAK_SECRET", subject, field, problem, mend });
  if (isStrict || secret.length === 0) throw error;
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(`${error.message} (refused when NODE_ENV is "production" or strict is true)`, {
    code: "CELLO_WEAK_SECRET",
  });
}

/**
 * Reads one secret, or a list of different ones: of two that are the same, somebody meant to rotate, and the old
 * one is still in force.
 *
 * @param mend for an empty list
 * @param readOne reads a secret, and its text for the comparison
 */
export function secrets<Secret>(
  mend: string,
  readOne: (fields: Fields, name: string, given: unknown) => Secret,
  textOf: (secret: Secret) => string,
): (fields: Fields, name: string, given: unknown) => readonly Secret[] {
  return (fields, name, given) => {
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (list.length === 0) fields.invalid(name, "is an empty list", mend);
    const all = list.map((one) => readOne(fields, name, one));
    if (new Set(all.map(textOf)).size < all.length) {
      fields.invalid(name, "has the same secret twice", "give each once, the new one first");
    }
    return all;
  };
}

export function isProduction(): boolean {
  return process.env.NODE_ENV === "production";
}

/** The option `strict`: whether a weak secret is refused. */
export const readStrict: Reader<boolean> = (fields, name) => flag(isProduction())(fields, name);

/**
 * Three rules, each of which can be told in a sentence: long enough, also when what repeats counts once;
 * more than a handful of different bytes; no example that everybody can read.
 */
function weaknessOf({ what, neededBytes, secret }: SecretStrength): string | undefined {
  if (secret.length < neededBytes) return `${what} needs at least ${neededBytes} bytes, got ${secret.length}`;
  const own = ownBytes(secret);
  if (own < neededBytes) {
    return `${what} needs at least ${neededBytes} bytes, got ${secret.length} of which ${own} remain when what repeats or counts on is left out`;
  }
  const different = new Set(secret).size;
  if (different < FEWEST_DIFFERENT_BYTES) {
    return `${what} needs at least ${FEWEST_DIFFERENT_BYTES} different bytes, got ${different}`;
  }
  return isPublished(secret) ? "is an example that everybody can read" : undefined;
}

/** Of 32 random digits, whose alphabet is the smallest in use, fewer differ once in 60,000 times. */
const FEWEST_DIFFERENT_BYTES = 7;

/** Shorter repetitions stand in random text by chance, above all in hex. */
const SHORTEST_REPETITION = 8;

/** Only so much is looked at: the longest secrets are files, and the search is quadratic. */
const LONGEST_LOOK = 512;

/**
 * How many bytes a secret has without what repeats: a run of eight steps or more that came before, at
 * whatever distance, counts nothing. Steps from byte to byte are compared, not bytes, so that "abcdefgh…"
 * repeats itself as "aaaaaaaa…" does.
 */
function ownBytes(secret: Uint8Array): number {
  const steps = Array.from(secret.subarray(0, LONGEST_LOOK), (byte, at) => byte - (secret[at - 1] ?? 0));
  let own = secret.length - steps.length;
  for (let at = 0; at < steps.length; ) {
    const repeated = longestRepetition(steps, at);
    own += repeated < SHORTEST_REPETITION ? 1 : 0;
    at += repeated < SHORTEST_REPETITION ? 1 : repeated;
  }
  return own;
}

/** How many of the steps from here on also begin somewhere before; the two may overlap. */
function longestRepetition(steps: readonly number[], at: number): number {
  let longest = 0;
  // The first step is the first byte itself.
  for (let before = 1; before < at; before++) {
    let length = 0;
    while (at + length < steps.length && steps[before + length] === steps[at + length]) length++;
    if (length > longest) longest = length;
  }
  return longest;
}

/** Secrets of READMEs, playgrounds and specifications that are long enough to be used, in small letters. */
const PUBLISHED: ReadonlySet<string> = new Set([
  // jwt.io. What it had before ("your-256-bit-secret") is a placeholder below.
  "a-string-secret-at-least-256-bits-long",
  "a-valid-string-secret-that-is-at-least-384-bits-long",
  "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
  // Session packages.
  "complex_password_at_least_32_characters_long",
  "averylogphrasebiggerthanthirtytwochars",
  "a secret with minimum length of 32 characters",
  // This package's own pages.
  "a secret of more than thirty-two bytes",
  // The example of RFC 7515 appendix A.1, as text.
  "aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t-1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
]);

/**
 * What stands in templates for a secret that is still to be put in. Words that merely begin or end so
 * ("view me", "your donkey", "changement") stand in good passphrases.
 */
const PLACEHOLDERS: readonly RegExp[] = [
  /(?<!ex|inter)(?:change|replace)(?:me(?!nt)|this)/i,
  /(?<!ex|inter)(?:change|replace)[-_ ](?:me|this)(?![a-z])/i,
  /your[-_ ][-_ \w]*(?:secret(?!ar)|password|(?<!don|hoc|joc|mon|tur|whis)key(?!board|hole|stone))/i,
];

function isPublished(secret: Uint8Array): boolean {
  const text = Buffer.from(secret).toString("latin1").trim();
  return PUBLISHED.has(text.toLowerCase()) || PLACEHOLDERS.some((placeholder) => placeholder.test(text));
}
