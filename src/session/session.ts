import type { EventHub } from "../events.js";
import { requestEvent } from "../exchange.js";
import type { Answer } from "./answer.js";
import type { JsonValue } from "./json.js";
import type { SessionState } from "./state.js";

let stateOf: (session: Session) => SessionState;

/**
 * The session of one request: values by key that come back with the client's next request.
 *
 * Values are JSON. `set` keeps a copy and `get` gives frozen values, so that a change which would be
 * lost throws instead: read, make a new value, and set it.
 *
 * Reading makes no session: a cookie is set when there is something to keep.
 *
 * @example
 * ```ts
 * app.post("/login", async (request) => {
 *   await request.session.regenerate();
 *   request.session.set("userId", "u1");
 *   return { ok: true };
 * });
 * ```
 */
export class Session<Data extends object = Record<string, unknown>> {
  readonly #state: SessionState;
  readonly #events: EventHub;

  static {
    stateOf = (session) => session.#state;
  }

  constructor(state: SessionState, events: EventHub) {
    this.#state = state;
    this.#events = events;
  }

  /** The session's id: random, never reused, changed by `regenerate`. Treat it as a password. */
  get id(): string {
    return this.#use().id;
  }

  /** Whether there was no valid session with the request. */
  get isNew(): boolean {
    return this.#use().isNew;
  }

  /** When the session began, or was last regenerated. */
  get createdAt(): Date {
    return new Date(this.#use().createdAt);
  }

  /** The deep-frozen value of a key; `undefined` when there is none. */
  get<Key extends keyof Data & string>(key: Key): Data[Key] | undefined;
  get(key: string): unknown {
    return this.#use().values.get(checkKey(key));
  }

  /** Whether the key has a value. */
  has(key: keyof Data & string): boolean {
    return this.#use().values.has(checkKey(key));
  }

  /**
   * Sets a key to a copy of a value.
   *
   * @throws TypeError when JSON cannot carry the value
   * @throws SessionTooLargeError when the cookie would be too large; the key keeps its former value
   */
  set<Key extends keyof Data & string>(key: Key, value: Data[Key]): void {
    const state = this.#change("set");
    state.values.set(checkKey(key), value, () => state.keeper.checkSize(state));
  }

  /**
   * Deletes a key.
   *
   * @returns whether it had a value
   */
  delete(key: keyof Data & string): boolean {
    return this.#change("delete").values.delete(checkKey(key));
  }

  /** Deletes all keys and flashes; the session itself stays. */
  clear(): void {
    const state = this.#change("clear");
    state.values.clear();
    state.flashes.clear();
  }

  /** All keys with their values (not the flashes), deep-frozen. */
  all(): Readonly<Partial<Data>>;
  all(): unknown {
    return Object.freeze(this.#use().values.toRecord());
  }

  /**
   * A value that is read once: `flash(key, value)` keeps it, and the next `flash(key)`, in this request
   * or a later one, gives and removes it. Flashes have their own keys, apart from those of `set`.
   *
   * @throws TypeError and SessionTooLargeError as `set` does
   */
  flash(key: string): JsonValue | undefined;
  flash(key: string, value: unknown): void;
  flash(...given: [key: string, value?: unknown]): JsonValue | undefined {
    const key = checkKey(given[0]);
    if (given.length > 1) {
      const state = this.#change("flash");
      state.flashes.set(key, given[1], () => state.keeper.checkSize(state));
      return undefined;
    }
    const value = this.#use().flashes.get(key);
    if (value !== undefined) this.#change("flash").flashes.delete(key);
    return value;
  }

  /**
   * Gives the session a new id and a new lifetime, and keeps its data. Call it at login, and whenever
   * a user's rights grow: an id that somebody planted before (session fixation) is then worthless.
   *
   * With a store the old id is deleted there at once. Await it always: some stores answer later.
   */
  regenerate(): Promise<void> | void {
    const state = this.#change("regenerate");
    return this.#settle(() => state.keeper.regenerate(state));
  }

  /**
   * Forgets the data and expires the cookie. Call it at logout.
   *
   * A session in a store is gone at once, for every copy of its cookie. A sealed cookie is only deleted
   * in this browser: a copy of it opens until its lifetime ends.
   */
  destroy(): Promise<void> | void {
    const state = this.#use();
    if (state.isDestroyed) return state.pending;
    this.#change("destroy");
    state.isDestroyed = true;
    state.values.clear();
    state.flashes.clear();
    const done = this.#settle(() => state.keeper.destroy(state));
    if (!state.isNew && this.#events.has("session.destroyed")) {
      this.#events.emit("session.destroyed", requestEvent(state.exchange));
    }
    return done;
  }

  /** Notes that the application uses the session, which counts against idle time. */
  #use(): SessionState {
    this.#state.isUsed = true;
    return this.#state;
  }

  #change(method: string): SessionState {
    const state = this.#use();
    if (state.isCommitted) {
      throw new Error(`session.${method}: the response is already on its way, call it before the reply is sent`);
    }
    if (state.isDestroyed) throw new Error(`session.${method}: the session was destroyed in this request`);
    return state;
  }

  /** Keeps work under way, and its failure, where the commit finds it also if nobody else looks. */
  #settle(begin: () => Answer<void>): Promise<void> | void {
    const state = this.#state;
    let work: Answer<void>;
    try {
      work = begin();
    } catch (error) {
      state.failure = error;
      throw error;
    }
    if (!(work instanceof Promise)) return undefined;
    const all = Promise.all([state.pending, work]).then(() => {});
    state.pending = all;
    // The commit awaits the same promise and fails there: not awaiting it must not end the process.
    all.catch(() => {});
    return all;
  }
}

/** Whether the application has looked at a session: then its answer depends on who asked. */
export function isSessionUsed(session: Session): boolean {
  return stateOf(session).isUsed;
}

/** The inside of a session, for what opens and commits it. */
export function sessionState(session: Session): SessionState {
  return stateOf(session);
}

function checkKey(key: unknown): string {
  if (typeof key !== "string") throw new TypeError(`a session key must be a string, got ${typeof key}`);
  return key;
}
