import { ConfigError } from "../core/errors.js";
import type { EventHub } from "../core/events.js";
import { StoreGuard } from "../core/store-guard.js";
import type { RegisteredClaims } from "./claims.js";
import type { ReplayStore } from "./replay.js";

/** The tokens that are good once: what `Jwt.useOnce` asks. */
export class UsedTokens {
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
