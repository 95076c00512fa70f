import type { Clock } from "../core/clock.js";
import type { EventHub } from "../core/events.js";
import type { JsonObject } from "../core/json.js";
import { ALGORITHMS, type Algorithm } from "../jws/algorithms.js";
import { UnfitKeyError } from "../jws/errors.js";
import { publicPartOf } from "../jws/key-import.js";
import { type PreparedKey, prepareKey } from "../jws/keys.js";
import { JwsVerifier } from "../jws/verifier.js";
import type { JwtConfig } from "./config.js";
import { type FetchedKeySet, fetchKeySet } from "./fetch-key-set.js";
import { FetchSchedule } from "./fetch-schedule.js";

/** Only so many keys of a set are used, the first ones. */
const MAX_KEYS = 100;

/**
 * The keys of a JWK Set at a URL (RFC 7517 section 5).
 *
 * One fetch is under way at a time; `FetchSchedule` says when one may begin. A well-formed set is an
 * answer, also an empty one: keys that are not in it are not accepted any more. While the endpoint fails
 * the last set stays in use, up to `jwksMaxStale`.
 */
export class RemoteKeys {
  readonly #config: JwtConfig;
  readonly #uri: string;
  readonly #algorithm: Algorithm;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #schedule: FetchSchedule;
  #verifier: JwsVerifier | undefined;
  #inFlight: Promise<void> | undefined;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #freshForMs: number;
  #isEmpty = false;

  constructor(config: JwtConfig, uri: string, clock: Clock, events: EventHub) {
    this.#config = config;
    this.#uri = uri;
    this.#algorithm = ALGORITHMS[config.algorithm];
    this.#freshForMs = config.jwksMaxAge * 1000;
    this.#clock = clock;
    this.#events = events;
    this.#schedule = new FetchSchedule(config.jwksCooldown * 1000, clock);
  }

  /** Verifies with the last good set; another object after each change. `undefined` when there is none. */
  get verifier(): JwsVerifier | undefined {
    if (this.#verifier === undefined) return undefined;
    const age = this.#clock.monotonicMs() - this.#loadedMs;
    if (age >= this.#config.jwksMaxStale * 1000) this.#giveUp();
    else if (age >= this.#freshForMs && this.#schedule.mayFetch) this.#fetch();
    return this.#verifier;
  }

  /** Whether a key that is not here may be in the set all the same, because the last fetch failed. */
  get isFailing(): boolean {
    return this.#schedule.isFailing;
  }

  /** How long a client should wait when keys are missing, in seconds. */
  get retryAfter(): number {
    return this.#schedule.retryAfter;
  }

  /**
   * Fetches the set for a token whose key is not here, or joins the fetch that is under way.
   *
   * @returns a promise that never rejects; `undefined` when it is too soon
   */
  refresh(): Promise<void> | undefined {
    if (this.#inFlight !== undefined) return this.#inFlight;
    const may = this.#verifier === undefined ? this.#schedule.mayFetch : this.#schedule.takeForUnknownKey();
    return may ? this.#fetch() : undefined;
  }

  #fetch(): Promise<void> {
    this.#inFlight ??= this.#load().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  async #load(): Promise<void> {
    try {
      this.#accept(await fetchKeySet(this.#uri, Math.ceil(this.#config.jwksTimeout * 1000)));
    } catch (error) {
      const wasFailing = this.#schedule.isFailing;
      this.#schedule.failed();
      // Changes of state only: a failing endpoint is one event, not one for each try.
      if (!wasFailing) this.#reportError(error instanceof Error ? error.message : String(error));
    }
  }

  #accept({ keys, maxAge }: FetchedKeySet): void {
    const usable = usableKeys(keys, this.#algorithm);
    this.#verifier = new JwsVerifier(usable, [this.#algorithm]);
    this.#loadedMs = this.#clock.monotonicMs();
    // The issuer may ask for less than jwksMaxAge, though not for a fetch with every request.
    const { jwksMaxAge, jwksCooldown } = this.#config;
    this.#freshForMs = 1000 * Math.min(jwksMaxAge, Math.max(jwksCooldown, maxAge ?? jwksMaxAge));
    const wasFailing = this.#schedule.isFailing;
    this.#schedule.succeeded();
    if (wasFailing) this.#events.emit("store.recovered", { store: "jwks" });
    this.#reportEmpty(usable.length === 0);
  }

  /** Keys that may have been withdrawn long ago are not used any more. */
  #giveUp(): void {
    this.#verifier = undefined;
    this.#reportError("the keys are older than jwksMaxStale and not used any more");
  }

  #reportError(message: string): void {
    this.#events.emit("store.error", { store: "jwks", message });
  }

  #reportEmpty(isEmpty: boolean): void {
    if (isEmpty && !this.#isEmpty) {
      this.#events.emit("config.warning", {
        code: "CELLO_JWKS_EMPTY",
        message: `the JWK Set at jwksUri has no key for ${this.#algorithm.name}, so that no token is accepted`,
      });
    }
    this.#isEmpty = isEmpty;
  }
}

/** Keys of other types and uses stand in many sets: they are skipped (RFC 7517 section 5). */
function usableKeys(keys: readonly JsonObject[], algorithm: Algorithm): PreparedKey[] {
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
