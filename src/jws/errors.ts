/** Why a JWS or a key was refused, for programs. */
export type JwsErrorCode =
  /** Not three parts of canonical base64url, or a header that is not one strict JSON object. */
  | "malformed"
  /** An `alg` that is not among the expected ones. */
  | "algorithm"
  /** A `crit` or `b64` header parameter. */
  | "critical_header"
  /** The header carries or points to a key: `jwk`, `jku`, `x5u`, `x5c`. */
  | "embedded_key"
  /** No given key has the token's `kid` and algorithm. */
  | "unknown_key"
  /** The signature is not that of any given key. */
  | "signature"
  /** A given key cannot be used with the algorithm. */
  | "unfit_key"
  /** What was given to sign is not usable. */
  | "invalid_input";

/** Why a token was refused (the codes that depend on the token, not on the caller). */
export type JwsRejection = Exclude<JwsErrorCode, "unfit_key" | "invalid_input">;

/** A JWS that is refused, or a key or header that cannot be used to make one. */
export class JwsError extends Error {
  override readonly name: string = "JwsError";
  readonly code: JwsErrorCode;

  constructor(code: JwsErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A key that does not fit its algorithm. The message never contains key material. */
export class UnfitKeyError extends JwsError {
  override readonly name = "UnfitKeyError";
  /** What is wrong with the key. */
  readonly problem: string;
  /** What to do about it. */
  readonly mend: string;

  constructor(problem: string, mend: string) {
    super("unfit_key", `${problem}; ${mend}`);
    this.problem = problem;
    this.mend = mend;
  }
}

/** One sentence for people for each way to refuse a token. */
export const JWS_REJECTION_MESSAGES: Readonly<Record<JwsRejection, string>> = Object.freeze({
  malformed: "not a JWS in compact form: three parts of canonical base64url with a strict JSON header",
  algorithm: "the token is signed with another algorithm than the expected one",
  critical_header: 'the header has "crit" or "b64", which are not supported',
  embedded_key: "the header carries or points to a key, and keys are only taken from the configuration",
  unknown_key: "no configured key has the key id of the token",
  signature: "the signature is wrong",
});
