import { copyAsJson, type JsonValue, plainData } from "./json.js";
import type { SessionState } from "./state.js";

interface LiveValue {
  readonly object: object;
  /** The object as JSON, when it was read, written or kept last. */
  text: string;
}

/**
 * Values of a session that were read or written as its properties (`session.cart.push(apple)`), which
 * is how Express' sessions are used. They are the application's own objects, so what it changes in them is
 * found by comparing, and kept.
 */
export type LiveValues = Map<string, LiveValue>;

/**
 * Makes what was changed in the live objects values of the session. What was only read is left alone: by now
 * another request may have stored something else there.
 *
 * @throws TypeError when JSON cannot carry what was put into them, and SessionTooLargeError
 */
export function keepLiveValues(state: SessionState): void {
  for (const [key, live] of state.live ?? []) {
    const json = asJson(key, live.object);
    const text = JSON.stringify(json);
    if (text === live.text || !state.values.has(key)) continue;
    state.values.set(key, json, () => state.keeper.checkSize(state));
    live.text = text;
  }
}

/** @param json what the object is at this time */
function putLiveValue(state: SessionState, key: string, object: object, json: JsonValue): void {
  state.live ??= new Map();
  state.live.set(key, { object, text: JSON.stringify(json) });
}

/** The value of a property: an object that may be changed, or a primitive value. */
export function readProperty(state: SessionState, key: string): unknown {
  const live = state.live?.get(key);
  if (live !== undefined) return live.object;
  const value = state.values.get(key);
  if (typeof value !== "object" || value === null) return value;
  const copy: object = structuredClone(value);
  putLiveValue(state, key, copy, value);
  return copy;
}

/** Sets a property; `undefined` deletes it, as JSON would. */
export function writeProperty(state: SessionState, key: string, value: unknown): void {
  state.live?.delete(key);
  if (value === undefined) {
    state.values.delete(key);
    return;
  }
  const json = asJson(key, value);
  state.values.set(key, json, () => state.keeper.checkSize(state));
  if (typeof value === "object" && value !== null) putLiveValue(state, key, value, json);
}

/** As Express' sessions keep it: dates as their text, members that are `undefined` not at all. What would be lost unheard throws. */
function asJson(key: string, value: unknown): JsonValue {
  return copyAsJson(plainData(value), `session value "${key}"`);
}

/** What stands behind the properties of a session. */
interface PropertyAccess {
  use(session: object): SessionState | undefined;
  /** The state to write to; throws when it is too late for that. */
  change(session: object, what: string): SessionState;
}

/** Reads what is no member of a session: stands behind its prototype, so that members are found without it. */
export function unknownProperties({ use }: PropertyAccess): object {
  return new Proxy(Object.create(Object.prototype), {
    get(target: object, name, session: object) {
      if (!isKey(target, name)) return Reflect.get(target, name, session);
      const state = use(session);
      return state && readProperty(state, name);
    },
  });
}

/**
 * Writes, deletes and lists the properties of a session. There is no trap for reading: with one, every
 * call of a method would cost three times as much.
 */
export function propertyTraps({ use, change }: PropertyAccess): ProxyHandler<object> {
  const set = (session: object, name: string | symbol, value: unknown): true => {
    if (!isKey(session, name)) throw noValue(name);
    writeProperty(change(session, name), name, value);
    return true;
  };
  return {
    set,
    defineProperty(session, name, { get, set: setter, value }) {
      if (get !== undefined || setter !== undefined) throw noValue(name);
      return set(session, name, value);
    },
    deleteProperty(session, name) {
      if (!isKey(session, name)) throw noValue(name);
      writeProperty(change(session, name), name, undefined);
      return true;
    },
    has: (session, name) => (isKey(session, name) ? use(session)?.values.has(name) === true : name in session),
    ownKeys: (session) => [...(use(session)?.values.toMap().keys() ?? [])],
    getOwnPropertyDescriptor(session, name) {
      if (!isKey(session, name)) return undefined;
      const state = use(session);
      if (state === undefined || !state.values.has(name)) return undefined;
      return { value: readProperty(state, name), writable: true, enumerable: true, configurable: true };
    },
    preventExtensions: () => false,
    setPrototypeOf: () => false,
  };
}

/** Whether a name can be the key of a value. Promises ask everything for `then`, which is no use of a session. */
function isKey(session: object, name: string | symbol): name is string {
  return typeof name === "string" && name !== "then" && !(name in session);
}

function noValue(name: string | symbol): TypeError {
  const what = typeof name === "symbol" ? "a symbol is no key of a session" : `"${name}" is a member of the session`;
  return new TypeError(`session.${String(name)}: ${what}, and cannot be assigned or deleted; use session.set("…", …)`);
}
