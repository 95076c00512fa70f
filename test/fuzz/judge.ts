import { gunzipSync } from "node:zlib";
import type { FuzzResponse } from "./responses.js";
import type { FuzzRequest } from "./scenario.js";
import { PAGE, REDACTED, SECRET_WORD } from "./wrappers.js";

/** What is answered for want of a place, or of a store. */
const REFUSED: readonly number[] = [429, 503];
const REDACTED_PAGE = PAGE.replaceAll(SECRET_WORD, REDACTED);

/** What hosts add to each answer of a handler behind wrappers of responses. */
const WRAPPERS_SAY: Readonly<Record<string, readonly [string, string]>> = {
  express: ["x-heard", "1"],
  "node:http": ["x-heads", "1"],
};

/** What is wrong with a whole answer; `undefined`: nothing. */
export function judge(host: string, request: FuzzRequest, response: FuzzResponse): string | undefined {
  const { status, headers } = response;
  const name = `${request.method} ${request.path}`;
  if (headers.get("x-content-type-options") !== "nosniff") return `${name}: ${status} without the security headers`;
  if (REFUSED.includes(status)) return undefined;
  const expected = statusOf(request.path);
  if (status !== expected) return `${name}: ${status} for ${expected}`;
  if (status !== 200) return undefined;
  const mark = WRAPPERS_SAY[host];
  if (mark !== undefined && headers.get(mark[0]) !== mark[1]) {
    return `${name}: ${mark[0]} is ${headers.get(mark[0])} for ${mark[1]}: a wrapper of the response was passed over`;
  }
  return request.method === "HEAD" ? undefined : judgeBody(name, request, response);
}

function statusOf(path: string): number {
  if (path === "/fails") return 500;
  if (path === "/empty") return 204;
  return path === "/unknown" ? 404 : 200;
}

function judgeBody(name: string, { path, body }: FuzzRequest, response: FuzzResponse): string | undefined {
  const text = textOf(response);
  if (text === undefined) return `${name}: what says that it is compressed is not`;
  if (text.includes(SECRET_WORD)) return `${name}: a wrapper that redacts was passed over`;
  const expected = path === "/page" ? REDACTED_PAGE : path === "/quick" ? "quick" : undefined;
  if (expected !== undefined && text !== expected) return `${name}: another body, of ${text.length} bytes`;
  if (path === "/upload" && text !== String(body?.length)) return `${name}: ${text} of ${body?.length} bytes came`;
  return undefined;
}

/** `undefined` when it cannot be expanded. */
function textOf({ headers, body }: FuzzResponse): string | undefined {
  try {
    return (headers.get("content-encoding") === "gzip" ? gunzipSync(body) : body).toString("latin1");
  } catch {
    return undefined;
  }
}
