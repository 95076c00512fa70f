import { ConfigError } from "../core/errors.js";
import { describe } from "../core/options.js";
import { strictMethods } from "../core/strict-calls.js";
import type { GuardedSessionStore } from "./guarded-store.js";
import type { Lifetimes } from "./lifetimes.js";
import { SignedIds } from "./signed-id.js";
import type { ListedSession, SessionRecord } from "./store.js";
import { endSession, isLive } from "./succession.js";

const ENDED_AT_ONCE = 100;

/** A session of a user, as `app.sessions.list` tells it. Times are milliseconds since 1970. */
export interface SessionSummary {
  /**
   * What `revoke` takes. It is not the id in the cookie and cannot be turned into it, so it may be
   * shown to the user.
   */
  readonly id: string;
  /** When the session began, or was last regenerated. */
  readonly createdAt: number;
  /** When it was last used; with an `idleTimeout` exact to a tenth of that, else when it was last saved. */
  readonly lastUsedAt: number;
  /** The end of the session, however much it is used. */
  readonly expiresAt: number;
}

/** Options of `revokeAll`. */
export interface RevokeAllOptions {
  /** A session to leave alone: `request.session.id`, or an `id` that `list` gave. */
  readonly except?: string | undefined;
}

/** Ids of sessions, in the cookie and in stores: 256 bits, base64url. */
const ID_PATTERN = /^[\w-]{43}$/;

const NONE: ReadonlySet<string> = new Set();

/**
 * The sessions of users that are kept in a store: to show them, and to end them from elsewhere.
 *
 * Whose session it is says the value under `userKey` (by default `session.set("userId", ...)`). A
 * revoked session is gone at once for every machine, under whichever id a `regenerate` at the same moment
 * gave it, and a request that has it open cannot save it again. A login whose response is still on its
 * way makes a session that is nobody's yet, and that a revocation at that moment does not see.
 *
 * @example
 * ```ts
 * app.post("/password", async (request) => {
 *   await changePassword(request);
 *   const ended = await app.sessions.revokeAll("u1", { except: request.session.id });
 *   return { ended };
 * });
 * ```
 */
export class UserSessions {
  readonly #store: GuardedSessionStore;
  readonly #lifetimes: Lifetimes;

  constructor(store: GuardedSessionStore, lifetimes: Lifetimes) {
    this.#store = store;
    this.#lifetimes = lifetimes;
  }

  /**
   * The sessions of a user that are open now, the last used first.
   *
   * @throws ConfigError when the store cannot list by user; TypeError for what is no id, such as `undefined`
   * @throws StoreUnavailableError when the store fails
   */
  async list(userId: string | number): Promise<readonly SessionSummary[]> {
    const now = this.#store.wallMs();
    const sessions = (await this.#listOf(userId)).filter(
      ({ record }) => isLive(record) && this.#lifetimes.ending(record, now) === undefined,
    );
    return sessions
      .map(({ id, record: { createdAt, lastUsedAt, expiresAt } }) => ({ id, createdAt, lastUsedAt, expiresAt }))
      .sort((one, other) => other.lastUsedAt - one.lastUsedAt);
  }

  /**
   * Ends one session.
   *
   * Whoever has an id can end that session: before a user's wish is carried out, see that the id is among
   * those that `list` gives for this user.
   *
   * @param id of `list`
   * @returns whether there was such a session
   * @throws StoreUnavailableError when the store fails; the session may then be open still
   */
  async revoke(id: string): Promise<boolean> {
    // Such ids come from requests: what cannot be one is not put before the store.
    if (!ID_PATTERN.test(id)) return false;
    const record = await this.#store.load(id);
    return this.#end(id, record);
  }

  /**
   * Ends all sessions of a user, or all but one.
   *
   * @returns how many were ended
   * @throws ConfigError when the store cannot list by user; TypeError for what is no id, such as `undefined`
   * @throws StoreUnavailableError when the store fails; some sessions may then be open still
   */
  async revokeAll(userId: string | number, { except }: RevokeAllOptions = {}): Promise<number> {
    const listed = await this.#listOf(userId);
    const known = new Set(listed.map(({ id }) => id));
    const kept = await this.#wherever(except, known);
    const ended = listed.filter(({ id, record }) => {
      // Where a session went to is listed too, as a rule: it is ended there, once.
      const isElsewhere = typeof record.successor === "string" && known.has(record.successor);
      return !kept.has(id) && !isElsewhere;
    });
    let count = 0;
    // A part at a time, so that a store elsewhere answers each within its deadline.
    for (let start = 0; start < ended.length; start += ENDED_AT_ONCE) {
      const part = ended.slice(start, start + ENDED_AT_ONCE);
      const outcomes = await Promise.all(part.map(({ id, record }) => this.#end(id, record, kept)));
      count += outcomes.filter((wasThere) => wasThere).length;
    }
    return count;
  }

  /** Ends a session wherever it is by now, unless it is kept there. @returns whether it was anywhere */
  async #end(id: string, record: SessionRecord | undefined, kept: ReadonlySet<string> = NONE): Promise<boolean> {
    if (record === undefined || record.successor === null || kept.has(id)) return false;
    if (record.successor === undefined) return endSession(this.#store, id, record, this.#store.wallMs());
    return this.#end(record.successor, await this.#store.load(record.successor), kept);
  }

  /**
   * The ids under which a session is and was, from the one on that was given. The store is asked, and after it
   * has listed: of what moved before it was the user's, or is moving, the list says nothing.
   *
   * @param except the session's id, or the one that `list` gave
   */
  async #wherever(except: string | undefined, listed: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    if (except === undefined) return NONE;
    // An id that `list` gave is what the store knows. Any other may open a session, and is not shown to it.
    const ids = new Set([listed.has(except) ? except : SignedIds.storeIdOf(except)]);
    // A set goes on with what is added meanwhile.
    for (const id of ids) {
      const successor = (await this.#store.load(id))?.successor;
      if (typeof successor === "string") ids.add(successor);
    }
    return ids;
  }

  async #listOf(userId: string | number): Promise<readonly ListedSession[]> {
    const { list } = this.#store;
    if (list === undefined) {
      throw new ConfigError({
        code: "CELLO_CONFLICT",
        subject: "SessionConfig",
        field: "store",
        problem: "cannot list sessions by user",
        mend: "give a store that has list(userId), such as MemorySessionStore or RedisStore",
      });
    }
    return list(requireUserId(userId));
  }
}

strictMethods(UserSessions, { list: "userId", revoke: "id", revokeAll: "userId, { except }" });

/**
 * Whose session it is, as text, by the value under `userKey`; what is no id of a user is nobody.
 *
 * A store may write the text as bytes, where all halves of surrogate pairs become the same character
 * and two users one: such an id is written with escapes.
 */
export function userIdOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string" || value === "") return undefined;
  return value.isWellFormed() ? value : JSON.stringify(value);
}

/** The same for an id that an application names. @throws TypeError for `undefined` and the like, whose sessions nobody has */
function requireUserId(value: unknown): string {
  const userId = value === "" ? value : userIdOf(value);
  if (userId !== undefined) return userId;
  throw new TypeError(`the id of a user must be a string or a number, got ${describe(value)}`);
}
