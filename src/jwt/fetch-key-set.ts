import type { JWK, RemoteJWKSetOptions } from "jose";

/** A JWK Set that is longer, in bytes, is refused. */
const MAX_SET_BYTES = 1_048_576;

/** A set as it was fetched. */
export interface FetchedKeySet {
  readonly keys: readonly JWK[];
  /** How long the answer may be kept by its `Cache-Control` (RFC 9111 section 4.2.1), in seconds; `undefined`: it does not say. */
  readonly maxAge: number | undefined;
}

/** Fetches the set, whole and well-formed, or rejects. One call at a time. */
export type KeySetSource = () => Promise<FetchedKeySet>;

/** jose is loaded here, at the first fetch: most applications have no remote keys. */
export async function openKeySetSource(uri: URL, timeoutMs: number): Promise<KeySetSource> {
  const { createRemoteJWKSet, customFetch } = await import("jose");
  let maxAge: number | undefined;
  const options: RemoteJWKSetOptions = {
    timeoutDuration: timeoutMs,
    [customFetch]: async (url: string, request: RequestInit) => {
      const response = await fetchBounded(url, request);
      maxAge = maxAgeOf(response.headers);
      return response;
    },
  };
  const source = createRemoteJWKSet(uri, options);
  return async () => {
    await source.reload();
    return { keys: source.jwks()?.keys ?? [], maxAge };
  };
}

/** Redirects are not followed, and the answer is read only up to its limit. */
async function fetchBounded(url: string, request: RequestInit): Promise<Response> {
  const { body, status, headers } = await fetch(url, { ...request, redirect: "manual" });
  if (status !== 200) {
    await body?.cancel();
    return new Response(null, { status: 502 });
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest of the body.
    if (bytes > MAX_SET_BYTES) throw new Error(`the JWK Set is longer than ${MAX_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: 200, headers: pick(headers, "cache-control", "age") });
}

/** The body is decoded by now: fields that describe it would no longer be true. */
function pick(headers: Headers, ...names: readonly string[]): [string, string][] {
  return names.flatMap((name): [string, string][] => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value]];
  });
}

function maxAgeOf(headers: Headers): number | undefined {
  const control = headers.get("cache-control") ?? "";
  if (/\b(?:no-store|no-cache)\b/i.test(control)) return 0;
  const seconds = /\bmax-age="?(\d{1,10})\b/i.exec(control)?.[1];
  if (seconds === undefined) return undefined;
  const age = /^\d{1,10}$/.exec(headers.get("age") ?? "0")?.[0] ?? "0";
  return Math.max(0, Number(seconds) - Number(age));
}
