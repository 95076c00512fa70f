/** What a session can hold: JSON (RFC 8259). Values are deep-frozen. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** JSON values by name. */
export type JsonRecord = { readonly [name: string]: JsonValue };

// Deep enough for any real data, and far from the end of the stack.
const MAX_DEPTH = 200;

/**
 * A deep-frozen copy of a value as JSON will carry it.
 *
 * @param value what the application gave
 * @param name how messages call it, for example `session value "cart"`
 * @throws TypeError for what JSON would drop, change or fail at: functions, symbols, `undefined`,
 *   bigints, NaN and infinities, cycles, and instances of classes such as `Date` and `Map`
 */
export function copyAsJson(value: unknown, name: string): JsonValue {
  return copy(value, name, []);
}

function copy(value: unknown, place: string, ancestors: object[]): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) return refuse(place, `is ${value}`, "store null or a finite number");
      // JSON has no negative zero: the copy is what a later request will read.
      return value === 0 ? 0 : value;
    case "object":
      return value === null ? null : copyObject(value, place, ancestors);
    case "undefined":
      return refuse(place, "is undefined", "store null, or delete the key");
    case "bigint":
      return refuse(place, "is a bigint", "store its toString()");
    default:
      return refuse(place, `is a ${typeof value}`, "store plain data");
  }
}

function copyObject(value: object, place: string, ancestors: object[]): JsonValue {
  if (ancestors.includes(value)) return refuse(place, "contains itself", "store a tree");
  if (ancestors.length >= MAX_DEPTH) return refuse(place, `is nested over ${MAX_DEPTH} deep`, "store flatter data");
  ancestors.push(value);
  const result = Array.isArray(value) ? copyList(value, place, ancestors) : copyRecord(value, place, ancestors);
  ancestors.pop();
  return Object.freeze(result);
}

function copyList(list: readonly unknown[], place: string, ancestors: object[]): JsonValue[] {
  const result: JsonValue[] = [];
  // Not map(): it skips holes, which JSON would turn into null.
  for (let index = 0; index < list.length; index++) {
    result.push(copy(list[index], `${place}[${index}]`, ancestors));
  }
  return result;
}

function copyRecord(record: object, place: string, ancestors: object[]): { [name: string]: JsonValue } {
  const prototype: unknown = Object.getPrototypeOf(record);
  if (prototype !== null && prototype !== Object.prototype) return refuseInstance(record, place);
  if (Object.getOwnPropertySymbols(record).length > 0) {
    return refuse(place, "has a symbol as a key", "use strings as keys");
  }
  const result: { [name: string]: JsonValue } = {};
  for (const [name, value] of Object.entries(record)) {
    define(result, name, copy(value, `${place}.${name}`, ancestors));
  }
  return result;
}

/**
 * What JSON would make of a value where that is no surprise: `toJSON` is asked, and members that are
 * `undefined` are left out. Everything else is left as it is, for {@link copyAsJson} to judge.
 */
export function plainData(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if ("toJSON" in value && typeof value.toJSON === "function") return plainData(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return Array.from(value, (item: unknown) => plainData(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    Object.defineProperty(result, name, { value: plainData(member, depth + 1), enumerable: true });
  }
  return result;
}

/** Sets an own property; a plain assignment to `__proto__` would change the prototype instead. */
export function define(target: { [name: string]: JsonValue }, name: string, value: JsonValue): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  target[name] = value;
}

function refuseInstance(value: object, place: string): never {
  if (value instanceof Date) {
    return refuse(place, "is a Date, which JSON turns into text", "store its toISOString() or getTime()");
  }
  const name = typeof value.constructor === "function" ? value.constructor.name : "some class";
  return refuse(place, `is an instance of ${name}`, "store a plain object or a list");
}

function refuse(place: string, problem: string, mend: string): never {
  throw new TypeError(`${place} ${problem}, and a session holds JSON; ${mend}`);
}
