import type { JWK, RemoteJWKSetOptions } from "jose";
import type { Clock } from "../clock.js";
import type { EventHub } from "../events.js";
import { ALGORITHMS, type Algorithm } from "../jws/algorithms.js";
import { UnfitKeyError } from "../jws/errors.js";
import { publicPartOf } from "../jws/key-import.js";
import { type PreparedKey, prepareKey } from "../jws/keys.js";
import { Verifier } from "../jws/verifier.js";
import type { JwtConfig } from "./config.js";

/** A JWK Set that is longer, in bytes, is refused. */
const MAX_SET_BYTES = 1_048_576;

/** Only so many keys of a set are used, the first ones. */
const MAX_KEYS = 100;

/** A JWK Set as jose hands it out. */
interface KeySource {
  reload(): Promise<void>;
  jwks(): { readonly keys: readonly JWK[] } | undefined;
}

/**
 * The keys of a JWK Set at a URL (RFC 7517 section 5), fetched with jose and verified with here.
 *
 * One fetch is under way at a time, and a new one begins no sooner than a cool-down after the last
 * began: tokens with invented key ids cannot make the server hammer the endpoint. When the endpoint
 * is down the last good set stays in use.
 */
export class RemoteKeys {
  readonly #uri: URL;
  readonly #algorithm: Algorithm;
  readonly #cooldownMs: number;
  readonly #timeoutMs: number;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #events: EventHub;
  #source: KeySource | undefined;
  #verifier: Verifier | undefined;
  #inFlight: Promise<void> | undefined;
  #startedMs = Number.NEGATIVE_INFINITY;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  /** @param uri the checked `jwksUri` of the configuration */
  constructor(config: JwtConfig, uri: string, clock: Clock, events: EventHub) {
    this.#uri = new URL(uri);
    this.#algorithm = ALGORITHMS[config.algorithm];
    this.#cooldownMs = config.jwksCooldown * 1000;
    this.#timeoutMs = Math.ceil(config.jwksTimeout * 1000);
    this.#maxAgeMs = config.jwksMaxAge * 1000;
    this.#clock = clock;
    this.#events = events;
  }

  /** Verifies with the last good set; another object after each change. `undefined` before the first. */
  get verifier(): Verifier | undefined {
    if (this.#verifier !== undefined && this.#clock.monotonicMs() - this.#loadedMs >= this.#maxAgeMs) this.refresh();
    return this.#verifier;
  }

  /**
   * Fetches the set, or joins the fetch that is under way.
   *
   * @returns a promise that never rejects; `undefined` while the cool-down lasts
   */
  refresh(): Promise<void> | undefined {
    if (this.#inFlight !== undefined) return this.#inFlight;
    const now = this.#clock.monotonicMs();
    if (now - this.#startedMs < this.#cooldownMs) return undefined;
    this.#startedMs = now;
    this.#inFlight = this.#load().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  async #load(): Promise<void> {
    try {
      this.#source ??= await openSource(this.#uri, this.#timeoutMs);
      await this.#source.reload();
      const keys = usableKeys(this.#source.jwks()?.keys ?? [], this.#algorithm);
      if (keys.length === 0) throw new Error(`the JWK Set has no key for ${this.#algorithm.name}`);
      this.#verifier = new Verifier(keys).prepareUsualHeaders();
      this.#loadedMs = this.#clock.monotonicMs();
      this.#report(undefined);
    } catch (error) {
      this.#report(error instanceof Error ? error.message : String(error));
    }
  }

  /** Tells of changes of state only: a failing endpoint is one event, not one for each try. */
  #report(failure: string | undefined): void {
    const wasFailing = this.#isFailing;
    this.#isFailing = failure !== undefined;
    if (failure !== undefined && !wasFailing) this.#events.emit("store.error", { store: "jwks", message: failure });
    if (failure === undefined && wasFailing) this.#events.emit("store.recovered", { store: "jwks" });
  }
}

/** jose is loaded here, at the first fetch: most applications have no remote keys. */
async function openSource(uri: URL, timeoutMs: number): Promise<KeySource> {
  const { createRemoteJWKSet, customFetch } = await import("jose");
  const options: RemoteJWKSetOptions = {
    timeoutDuration: timeoutMs,
    [customFetch]: (url: string, request: RequestInit) => fetchBounded(url, request),
  };
  return createRemoteJWKSet(uri, options);
}

/** Redirects are not followed, and the answer is read only up to its limit. */
async function fetchBounded(url: string, request: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...request, redirect: "manual" });
  if (response.status !== 200) {
    await response.body?.cancel();
    return new Response(null, { status: 502 });
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest of the body.
    if (bytes > MAX_SET_BYTES) throw new Error(`the JWK Set is longer than ${MAX_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: 200 });
}

/** Keys of other types and uses stand in many sets: they are skipped (RFC 7517 section 5). */
function usableKeys(keys: readonly JWK[], algorithm: Algorithm): PreparedKey[] {
  const usable: PreparedKey[] = [];
  for (const jwk of keys) {
    if (usable.length === MAX_KEYS) break;
    try {
      // A private key has no business in a published set; should one be there, only its public part is used.
      usable.push(prepareKey(publicPartOf(jwk), algorithm));
    } catch (error) {
      if (!(error instanceof UnfitKeyError)) throw error;
    }
  }
  return usable;
}
