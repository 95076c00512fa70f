/**
 * Every error that Cello throws, and the one table of their codes.
 *
 * `ConfigError` says at start-up what is wrong with a configuration. The others are thrown at
 * run-time to the application's own code; what a client sees is decided in `problem.ts`.
 */

/** What is wrong with a configuration, for programs. The message says it for people. */
export type ConfigErrorCode =
  /** A required field is absent. */
  | "CELLO_MISSING"
  /** A field that the class does not have: usually a typing mistake. */
  | "CELLO_UNKNOWN_FIELD"
  /** A value of the wrong type. */
  | "CELLO_WRONG_TYPE"
  /** A number that is not finite, not whole where it must be, or outside its range. */
  | "CELLO_OUT_OF_RANGE"
  /** A value of the right type that cannot be used. */
  | "CELLO_INVALID_VALUE"
  /** A secret or key shorter than its algorithm needs. */
  | "CELLO_WEAK_SECRET"
  /** Fields that are each fine and together wrong. */
  | "CELLO_CONFLICT"
  /** The same protection was switched on twice. */
  | "CELLO_ALREADY_ENABLED"
  /** A protection was switched on after the first request. */
  | "CELLO_TOO_LATE"
  /** Something was used that has not been switched on. */
  | "CELLO_NOT_ENABLED";

/** Where a problem in a configuration is, and how to mend it. */
export interface ConfigProblem {
  readonly code: ConfigErrorCode;
  /** The class or method that refused, for example `JwtConfig`. */
  readonly subject: string;
  /** The field that is wrong; absent when the whole is. */
  readonly field?: string;
  /** What is wrong. Never contains the value of a secret. */
  readonly problem: string;
  /** What to do about it. */
  readonly mend: string;
}

/**
 * A configuration that cannot be used, thrown when it is constructed.
 *
 * The message reads `Class.field: problem; mend`, for example
 * `JwtConfig.secret: an HS256 key needs at least 32 bytes, got 15; make one with "npx cello secret"`.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  /** The class or method that refused, for example `JwtConfig`. */
  readonly subject: string;
  /** The field that is wrong, for example `secret`; `undefined` when the whole is. */
  readonly field: string | undefined;

  constructor(problem: ConfigProblem) {
    const place = problem.field === undefined ? problem.subject : `${problem.subject}.${problem.field}`;
    super(`${place}: ${problem.problem}; ${problem.mend}`);
    this.code = problem.code;
    this.subject = problem.subject;
    this.field = problem.field;
  }
}

/** A session that does not fit into its cookie or its store; thrown in the handler that made it too large. */
export class SessionTooLargeError extends Error {
  override readonly name = "SessionTooLargeError";
  readonly code = "CELLO_SESSION_TOO_LARGE";
  /** What the cookie, or the values in the store, would have been, in bytes. */
  readonly size: number;
  /** What a browser keeps, or `SessionConfig.maxBytes`. */
  readonly limit: number;

  /** @param place where the session is kept */
  constructor(size: number, limit: number, place: "cookie" | "store" = "cookie") {
    super(
      place === "cookie"
        ? `the session needs a cookie of ${size} bytes and browsers keep ${limit}; store less in it, or give SessionConfig a store`
        : `the session has ${size} bytes of values and may have ${limit}; keep large things elsewhere and their names in it, or raise SessionConfig.maxBytes`,
    );
    this.size = size;
    this.limit = limit;
  }
}

/** A store (of sessions, limits or revocations) did not answer. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
  readonly code = "CELLO_STORE_UNAVAILABLE";
  /** What a host answers with; Fastify and Express read it. */
  readonly statusCode = 503;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}
