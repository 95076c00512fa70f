import type { MaybePromise } from "../core/later.js";
import { describeKind, type Fields, hasMethods } from "../core/options.js";
import type { ReplayStore } from "./replay.js";
import type { RevocationList } from "./revocation.js";

/** What all machines know of tokens together. */
export interface TokenStore {
  /** Which tokens were revoked. */
  readonly revocations: RevocationList;
  /** Which tokens that are good once were used. */
  readonly replay?: ReplayStore | undefined;
  /** Ends connections and timers, when the application closes. */
  close?(): MaybePromise<void>;
}

/**
 * Reads the option `store` of a configuration.
 *
 * @throws ConfigError when it is no token store; its value, which may hold a password, is not shown
 */
export function readTokenStore(fields: Fields, name: string, given: unknown): TokenStore {
  const { revocations, replay }: { revocations?: unknown; replay?: unknown } = Object(given);
  const hasList = hasMethods<RevocationList>(revocations, ["isRevoked", "revoke", "revokeAll", "revokedUntilMs"]);
  if (hasList && (replay === undefined || hasMethods<ReplayStore>(replay, ["claim"]))) return given as TokenStore;
  return fields.wrongType(
    name,
    `must have revocations, a list with isRevoked, revoke, revokeAll and revokedUntilMs, got ${describeKind(given)}`,
    'give a RedisStore of "cello/redis" or another TokenStore, or leave the field out to revoke in memory',
  );
}
