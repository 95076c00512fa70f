import type { MaybePromise } from "../core/later.js";
import { type ConfigFields, describeKind } from "../core/options.js";
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
 * Reads the field `store` of a configuration.
 *
 * @throws ConfigError when it is no token store; its value, which may hold a password, is not shown
 */
export function readTokenStore(fields: ConfigFields): TokenStore | undefined {
  const store = fields.raw("store");
  if (store === undefined || isTokenStore(store)) return store;
  return fields.fail(
    "CELLO_WRONG_TYPE",
    "store",
    `must have revocations, a list with isRevoked, revoke, revokeAll and revokedUntilMs, got ${describeKind(store)}`,
    'give a RedisStore of "cello/redis" or another TokenStore, or leave the field out to revoke in memory',
  );
}

function isTokenStore(value: unknown): value is TokenStore {
  if (typeof value !== "object" || value === null) return false;
  const { revocations, replay }: { revocations?: unknown; replay?: unknown } = value;
  const hasList = hasMethods(revocations, ["isRevoked", "revoke", "revokeAll", "revokedUntilMs"]);
  return hasList && (replay === undefined || hasMethods(replay, ["claim"]));
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === "object" && value !== null && names.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
