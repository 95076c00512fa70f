import { inspect } from "node:util";
import type { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { requestEvent } from "../core/request-view.js";
import { strictMethods } from "../core/strict-calls.js";
import { cookieView, type SessionCookieView } from "./cookie-view.js";
import type { JsonValue } from "./json.js";
import { keepLiveValues, propertyTraps, unknownProperties } from "./properties.js";
import type { SessionState } from "./state.js";

const kState = Symbol("cello.session.state");
const kEvents = Symbol("cello.session.events");

/** The inside of a session, for what opens and commits it. */
export let sessionState: (session: Session) => SessionState;

/** What `regenerate`, `destroy`, `save` and `reload` call back when given: the error first, nothing when it went well. */
export type SessionCallback = (error?: unknown) => void;

/**
 * The session of one request: values by key that come back with the client's next request.
 *
 * Values are JSON. `set` keeps a copy and `get` gives frozen values, so that a change which would be
 * lost throws instead: read, make a new value, and set it.
 *
 * Reading makes no session: a cookie is set when there is something to keep.
 *
 * Code that was written for Express' sessions finds what it knows: `session.user = "u1"`,
 * `session.views++` and `delete session.user` change the values of those keys, and `regenerate`,
 * `destroy`, `save` and `reload` take callbacks. TypeScript knows only the methods.
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
  // Symbols and not private names: those are slow to read through a Proxy, and a Proxy is what sees `delete`.
  private readonly [kState]: SessionState;
  private readonly [kEvents]: EventHub;

  static {
    sessionState = (session) => session[kState];
  }

  constructor(state: SessionState, events: EventHub) {
    this[kState] = state;
    this[kEvents] = events;
    // biome-ignore lint/correctness/noConstructorReturn: without it, a deleted property would seem deleted and come back
    return new Proxy<Session<Data>>(this, traps);
  }

  /** The session's id: random, never reused, changed by `regenerate`. Treat it as a password. */
  get id(): string {
    return use(this[kState]).id;
  }

  /** Whether there was no valid session with the request. */
  get isNew(): boolean {
    return use(this[kState]).isNew;
  }

  /** When the session began, or was last regenerated. */
  get createdAt(): Date {
    return new Date(use(this[kState]).createdAt);
  }

  /** The deep-frozen value of a key; `undefined` when there is none. */
  get<Key extends keyof Data & string>(key: Key): Data[Key] | undefined;
  get(key: string): unknown {
    return use(this[kState]).values.get(checkKey(key));
  }

  /** Whether the key has a value. */
  has(key: keyof Data & string): boolean {
    return use(this[kState]).values.has(checkKey(key));
  }

  /**
   * Sets a key to a copy of a value.
   *
   * @throws TypeError when JSON cannot carry the value
   * @throws SessionTooLargeError when the cookie would be too large; the key keeps its former value
   */
  set<Key extends keyof Data & string>(key: Key, value: Data[Key]): void {
    const state = change(this[kState], "set");
    state.live?.delete(checkKey(key));
    state.values.set(checkKey(key), value, () => state.keeper.checkSize(state));
  }

  /**
   * Deletes a key.
   *
   * @returns whether it had a value
   */
  delete(key: keyof Data & string): boolean {
    const state = change(this[kState], "delete");
    state.live?.delete(checkKey(key));
    return state.values.delete(checkKey(key));
  }

  /** Deletes all keys and flashes; the session itself stays. */
  clear(): void {
    const state = change(this[kState], "clear");
    state.live?.clear();
    state.values.clear();
    state.flashes.clear();
  }

  /** All keys with their values (not the flashes), deep-frozen. */
  all(): Readonly<Partial<Data>>;
  all(): unknown {
    return Object.freeze(use(this[kState]).values.toRecord());
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
      const state = change(this[kState], "flash");
      state.flashes.set(key, given[1], () => state.keeper.checkSize(state));
      return undefined;
    }
    const value = use(this[kState]).flashes.get(key);
    if (value !== undefined) change(this[kState], "flash").flashes.delete(key);
    return value;
  }

  /**
   * Gives the session a new id and a new lifetime, and keeps its data. Call it at login, and whenever
   * a user's rights grow: an id that somebody planted before (session fixation) is then worthless.
   *
   * With a store the old id is deleted there at once. Await it always, or give a callback: some stores answer later.
   */
  regenerate(): Promise<void> | void;
  regenerate(callback: SessionCallback): Promise<void>;
  regenerate(...given: [callback?: SessionCallback]): Promise<void> | void {
    return told("regenerate", given, () => {
      const state = change(this[kState], "regenerate");
      return settle(state, () => state.keeper.regenerate(state));
    });
  }

  /**
   * Forgets the data and expires the cookie. Call it at logout.
   *
   * A session in a store is gone at once, for every copy of its cookie. A sealed cookie is only deleted
   * in this browser: a copy of it opens until its lifetime ends.
   */
  destroy(): Promise<void> | void;
  destroy(callback: SessionCallback): Promise<void>;
  destroy(...given: [callback?: SessionCallback]): Promise<void> | void {
    return told("destroy", given, () => {
      const state = use(this[kState]);
      if (state.isDestroyed) return state.pending;
      change(this[kState], "destroy");
      state.isDestroyed = true;
      state.live?.clear();
      state.values.clear();
      state.flashes.clear();
      const done = settle(state, () => state.keeper.destroy(state));
      if (!state.isNew && this[kEvents].has("session.destroyed")) {
        this[kEvents].emit("session.destroyed", requestEvent(state.view));
      }
      return done;
    });
  }

  /**
   * Saves what was changed so far, where there is a store, before the response does; the cookie leaves
   * with the head. Nobody must call it: the response is not sent before the session is saved.
   */
  save(): Promise<void> | void;
  save(callback: SessionCallback): Promise<void>;
  save(...given: [callback?: SessionCallback]): Promise<void> | void {
    return told("save", given, () => {
      const state = change(this[kState], "save");
      return settle(state, () => state.keeper.save(state));
    });
  }

  /** Forgets what this request changed, and reads again what is stored. It fails when the session is gone there. */
  reload(): Promise<void> | void;
  reload(callback: SessionCallback): Promise<void>;
  reload(...given: [callback?: SessionCallback]): Promise<void> | void {
    return told("reload", given, () => {
      const state = change(this[kState], "reload");
      state.live?.clear();
      return state.keeper.reload(state);
    });
  }

  /** Counts as a use of the session, as looking at it does. */
  touch(): this {
    use(this[kState]);
    return this;
  }

  /** The lifetime of the cookie, to be read; what `SessionConfig` says of the cookie cannot be changed for one session. */
  get cookie(): SessionCookieView {
    return cookieView(use(this[kState]));
  }

  /** Logs and error messages show no values. */
  [inspect.custom](): string {
    return "Session {}";
  }
}

/** Notes that the application uses the session, and what it changed in the objects that it holds. */
function use(state: SessionState): SessionState {
  state.isUsed = true;
  if (state.live !== undefined && !state.isCommitted) keepLiveValues(state);
  return state;
}

function change(state: SessionState, what: string): SessionState {
  use(state);
  if (state.isCommitted) {
    throw new Error(`session.${what}: the response is already on its way, call it before the reply is sent`);
  }
  if (state.isDestroyed) throw new Error(`session.${what}: the session was destroyed in this request`);
  return state;
}

/** Keeps work under way, and its failure, where the commit finds it also if nobody else looks. */
function settle(state: SessionState, begin: () => MaybePromise<void>): Promise<void> | void {
  let work: MaybePromise<void>;
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

/**
 * Does some work, and tells a callback of its end: once, later, and outside of any promise, so that what
 * the callback throws is not taken for a failure of the work.
 */
function told(method: string, given: readonly unknown[], work: () => Promise<void> | void): Promise<void> | void {
  if (given.length === 0 || (given.length === 1 && given[0] === undefined)) return work();
  const [callback] = given;
  if (given.length > 1 || typeof callback !== "function") {
    throw new TypeError(`session.${method} takes a callback or nothing; await the promise that it returns`);
  }
  const done = new Promise<void>((resolve) => resolve(work()));
  done.then(
    () => queueMicrotask(() => callback()),
    (error: unknown) => queueMicrotask(() => callback(error)),
  );
  return done;
}

const properties = {
  use(session: object) {
    if (!(session instanceof Session) || !(kState in session)) return undefined;
    const state = sessionState(session);
    state.isUsed = true;
    return state;
  },
  change(session: object, what: string) {
    if (!(session instanceof Session)) throw new TypeError("not a session");
    return change(sessionState(session), what);
  },
};
const traps = propertyTraps(properties);
Object.setPrototypeOf(Session.prototype, unknownProperties(properties));

strictMethods(Session, {
  get: "key",
  has: "key",
  set: "key, value",
  delete: "key",
  clear: "",
  all: "",
  flash: "key, value",
  regenerate: "callback",
  destroy: "callback",
  save: "callback",
  reload: "callback",
  touch: "",
});

function checkKey(key: unknown): string {
  if (typeof key !== "string") throw new TypeError(`a session key must be a string, got ${typeof key}`);
  return key;
}
