/**
 * Refusals as RFC 9457 problem details. A body is made once, when the policy is compiled, and sent
 * as it is: it says what to do, and never why a credential failed.
 */

/** Media type of problem details (RFC 9457 section 3). */
export const PROBLEM_CONTENT_TYPE = "application/problem+json";

/** The members of a problem details object that Cello uses, and any further ones. */
export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly [extension: string]: unknown;
}

/** A refusal that is ready to be sent. */
export interface Refusal {
  readonly status: number;
  /** Flat list of header names and values: `["WWW-Authenticate", "Bearer", ...]`. */
  readonly headers: readonly string[];
  /** Problem details as JSON text; it is ASCII, so its length is its size in bytes. */
  readonly body: string;
}

/** What a step of the pipeline says: `undefined` lets the request pass. A promise only where a store must be asked. */
export type StepResult = Refusal | undefined | Promise<Refusal | undefined>;

/**
 * Prepares a refusal.
 *
 * @param problem the problem details
 * @param headers flat list of further headers; content type and length are added
 */
export function refusal(problem: ProblemDetails, headers: readonly string[] = []): Refusal {
  const body = asciiJson(problem);
  return Object.freeze({
    status: problem.status,
    headers: Object.freeze([
      "Content-Type",
      PROBLEM_CONTENT_TYPE,
      "Content-Length",
      String(body.length),
      "Cache-Control",
      "no-store",
      ...headers,
    ]),
    body,
  });
}

/** A prepared refusal with headers that are only known now, such as `Retry-After`. */
export function withHeaders(prepared: Refusal, headers: readonly string[]): Refusal {
  return { status: prepared.status, headers: [...prepared.headers, ...headers], body: prepared.body };
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The answer to a mistake of the application's: what it was is for the log. */
export const SERVER_ERROR: Refusal = refusal({ type: "about:blank", title: "Internal Server Error", status: 500 });

/** The answer when a store that must be asked does not answer: the client may try again. */
export const STORE_UNAVAILABLE: Refusal = refusal(
  { type: "about:blank", title: "Service Unavailable", status: 503, detail: "Try again in a moment." },
  ["Retry-After", "1"],
);

/**
 * What becomes of a request whose client has gone before it was let in. Nobody gets it; the status is
 * the one that nginx writes into its log then.
 */
export const CLIENT_GONE: Refusal = refusal({ type: "about:blank", title: "Client Closed Request", status: 499 });
