import { StoreUnavailableError } from "../../core/errors.js";
import { type Refusal, SERVER_ERROR, STORE_UNAVAILABLE } from "../../core/problem.js";
import {
  cookieBeside,
  isCorsField,
  isPolicyWithNonce,
  joinVary,
  linesBeside,
  NOT_MODIFIED,
} from "../../policy/head.js";
import type { Passage } from "../../policy/passage.js";
import { reportError } from "../report-error.js";

/**
 * Saves the session and completes the head of a response. What the handler set itself wins; cookies
 * are added to cookies. A session that cannot be saved turns the answer into a refusal: the client
 * must not be told of a login that was not stored. Never rejects: what fails is an answer too.
 */
export async function completeResponse(response: Response, passage: Passage): Promise<Response> {
  let cookie: string | undefined;
  try {
    cookie = await passage.commitSession();
  } catch (error) {
    return withLines(besideCorsFields(errorResponse(error), response), passage, undefined);
  }
  // An upgrade to another protocol (101): no other response can be made of it, and no browser reads its headers.
  if (response.status < 200) return response;
  try {
    return withLines(
      response,
      passage,
      cookieBeside(response.headers.get("cache-control") ?? undefined, passage, cookie),
    );
  } catch (error) {
    // A body that is being read already, for one: no response can be made of it.
    return withLines(errorResponse(error), passage, undefined);
  }
}

/** The answer to an error: the client learns no more than that, the operator what it was. */
export function errorResponse(error: unknown): Response {
  if (error instanceof StoreUnavailableError) return refusalResponse(STORE_UNAVAILABLE);
  reportError(error);
  return refusalResponse(SERVER_ERROR);
}

/** A prepared refusal as a response. */
export function refusalResponse({ status, headers, body }: Refusal): Response {
  const list = new Headers();
  for (let index = 0; index < headers.length; index += 2) list.append(headers[index] ?? "", headers[index + 1] ?? "");
  // A status that has no body takes none, not even an empty one.
  return new Response(body === "" ? null : body, { status, headers: list });
}

/** What whoever answers CORS in the application has put on an answer holds for a refusal in its place too. */
function besideCorsFields(refused: Response, answer: Response): Response {
  for (const [name, value] of answer.headers) {
    if (name === "vary" || isCorsField(name)) refused.headers.set(name, value);
  }
  return refused;
}

function withLines(response: Response, passage: Passage, cookie: string | undefined): Response {
  passage.inFlight?.leave(true);
  // A copy: the headers of a redirect or of a fetched response cannot be changed.
  const headers = new Headers(response.headers);
  for (const name of passage.route.headers?.removed ?? []) headers.delete(name);
  if (response.status === NOT_MODIFIED) {
    for (const [name, value] of response.headers) if (isPolicyWithNonce(name, value)) headers.delete(name);
  }
  const { lines, cookies, vary } = linesBeside((name) => headers.has(name), response.status, passage, cookie);
  for (let index = 0; index < lines.length; index += 2) headers.set(lines[index] ?? "", lines[index + 1] ?? "");
  for (const value of cookies) headers.append("Set-Cookie", value);
  if (vary.length > 0) headers.set("Vary", joinVary([headers.get("vary") ?? "", ...vary]));
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
