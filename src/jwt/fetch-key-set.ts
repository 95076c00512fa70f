import { isJsonObject, type JsonObject } from "../core/json.js";

/** A JWK Set that is longer, in bytes, is refused. */
const MAX_SET_BYTES = 1_048_576;

export interface FetchedKeySet {
  readonly keys: readonly JsonObject[];
  /** How long the answer may be kept by its `Cache-Control` (RFC 9111 section 4.2.1), in seconds; `undefined`: it does not say. */
  readonly maxAge: number | undefined;
}

/**
 * Fetches a JWK Set (RFC 7517 section 5), whole and well-formed, or rejects. Redirects are not followed, and the
 * answer is read only up to its limit.
 */
export async function fetchKeySet(uri: string, timeoutMs: number): Promise<FetchedKeySet> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { accept: "application/json, application/jwk-set+json" };
  try {
    const response = await fetch(uri, { headers, redirect: "manual", signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error("Expected 200 OK from the JSON Web Key Set HTTP response");
    }
    return { keys: parseKeys(await readBounded(response)), maxAge: maxAgeOf(response.headers) };
  } catch (error) {
    throw signal.aborted ? new Error("request timed out", { cause: error }) : error;
  }
}

async function readBounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest of the body.
    if (bytes > MAX_SET_BYTES) throw new Error(`the JWK Set is longer than ${MAX_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function parseKeys(text: string): readonly JsonObject[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch (cause) {
    throw new Error("Failed to parse the JSON Web Key Set HTTP response as JSON", { cause });
  }
  if (isJsonObject(set) && Array.isArray(set.keys) && set.keys.every(isJsonObject)) return set.keys;
  throw new Error("JSON Web Key Set malformed");
}

function maxAgeOf(headers: Headers): number | undefined {
  const control = headers.get("cache-control") ?? "";
  if (/\b(?:no-store|no-cache)\b/i.test(control)) return 0;
  const seconds = /\bmax-age="?(\d{1,10})\b/i.exec(control)?.[1];
  if (seconds === undefined) return undefined;
  const age = /^\d{1,10}$/.exec(headers.get("age") ?? "0")?.[0] ?? "0";
  return Math.max(0, Number(seconds) - Number(age));
}
