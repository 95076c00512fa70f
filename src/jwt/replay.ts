import { type Clock, readClock } from "../core/clock.js";
import { ConfigError } from "../core/errors.js";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { integer, read } from "../core/options.js";
import { StoreGuard } from "../core/store-guard.js";
import { strictConstruction } from "../core/strict-calls.js";
import type { RegisteredClaims } from "./claim-rules.js";
import { Sweep } from "./sweep.js";

/** Which tokens that are good once have been used. */
export interface ReplayStore {
  /**
   * Marks an id as used: of all calls with one id, on all machines, one is answered `true`.
   *
   * @param id of any length
   * @param expiresAt until when it must be remembered, seconds since 1970
   * @returns whether this was the first use; a store that cannot tell throws or rejects
   */
  claim(id: string, expiresAt: number): MaybePromise<boolean>;
  /** Ends connections and timers. */
  close?(): MaybePromise<void>;
}

/** Options of `MemoryReplayStore`. */
export interface MemoryReplayOptions {
  readonly clock?: Clock | undefined;
  /** Most ids that are remembered. Default 100,000. */
  readonly maxEntries?: number | undefined;
}

/** Ids are remembered so much longer than their tokens, in seconds, should the clock be set back. */
const GRACE = 60;
const SWEEP_STEPS = 2;

/**
 * The used tokens of one process, in memory.
 *
 * It is bounded. When it is full of tokens that have not expired it throws: to forget one would be to
 * let it be used again.
 */
export class MemoryReplayStore implements ReplayStore {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  /** Id -> until when it is remembered, in seconds. */
  readonly #used = new Map<string, number>();
  readonly #sweep = new Sweep(this.#used);
  /** When all entries were last looked at, seconds since 1970. */
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** @throws ConfigError for an option that is unknown or cannot be used */
  constructor(options?: MemoryReplayOptions) {
    strictConstruction("new MemoryReplayStore(options)", arguments);
    const readers = { clock: readClock, maxEntries: integer(1, 100_000_000, "", 100_000) };
    const { clock, maxEntries } = read("MemoryReplayStore", options, readers);
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  /** How many ids are remembered. */
  get size(): number {
    return this.#used.size;
  }

  /** @throws Error when it is full */
  claim(id: string, expiresAt: number): boolean {
    const now = this.#clock.wallMs() / 1000;
    const forgetAt = expiresAt + GRACE;
    // Used after its end, when it may be forgotten already.
    if (forgetAt <= now || this.#used.has(id)) return false;
    this.#sweep.step(now, SWEEP_STEPS);
    if (this.#used.size >= this.#maxEntries) this.#makeRoom(now);
    this.#used.set(id, forgetAt);
    return true;
  }

  /** Looks at all, but not for each call of a flood. */
  #makeRoom(now: number): void {
    if (Math.abs(now - this.#sweptAt) >= 1) {
      this.#sweptAt = now;
      for (const [id, forgetAt] of this.#used) if (forgetAt <= now) this.#used.delete(id);
    }
    if (this.#used.size < this.#maxEntries) return;
    throw new Error(`${this.#maxEntries} used tokens are remembered and none has expired; raise maxEntries`);
  }
}

/** The tokens that are good once: what `Jwt.useOnce` asks. */
export class SingleUse {
  readonly #store: ReplayStore | undefined;
  readonly #clockTolerance: number;
  readonly #guard: StoreGuard;

  /** @param clockTolerance how much longer than until `exp` a token is good, in seconds */
  constructor(store: ReplayStore | undefined, clockTolerance: number, events: EventHub) {
    this.#store = store;
    this.#clockTolerance = clockTolerance;
    this.#guard = new StoreGuard("replay", "the used tokens could not be asked for", events);
  }

  /** Whether this is the first use of the token. */
  async claim({ iss, jti, exp }: RegisteredClaims): Promise<boolean> {
    if (typeof jti !== "string") throw new TypeError("Jwt.useOnce: the claims have no jti; sign with { jti: true }");
    // Without it the token would have to be remembered for ever.
    if (typeof exp !== "number") throw new TypeError("Jwt.useOnce: the claims have no exp");
    const store = this.#store ?? missingStore();
    // Ids are unique for their issuer; one issuer must not use up those of another.
    const id = JSON.stringify([iss ?? null, jti]);
    return this.#guard.ask(() => store.claim(id, exp + this.#clockTolerance), requireBoolean);
  }
}

/** A store may be plain JavaScript: an answer that is none must not let a token be used again. */
function requireBoolean(isFirst: unknown): boolean {
  if (typeof isFirst !== "boolean") throw new TypeError("its answer is neither true nor false");
  return isFirst;
}

function missingStore(): never {
  throw new ConfigError({
    code: "CELLO_NOT_ENABLED",
    subject: "JwtConfig",
    field: "store",
    problem: "keeps no used tokens, which useOnce asks for",
    mend: 'give a store with the property replay, such as RedisStore of "cello/redis"',
  });
}
