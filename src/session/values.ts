import { copyAsJson, deepFreeze, type JsonValue } from "./json.js";

const DELETED = Symbol("deleted");
/** A session without values. */
export const NO_VALUES: ReadonlyMap<string, JsonValue> = new Map();

type Change = JsonValue | typeof DELETED;

/**
 * The values of one session by key, as they were opened and what this request changed about them.
 *
 * What was opened is never written to, so it may be shared by requests; the changes are kept apart,
 * so they can be made again on top of what another request saved meanwhile.
 */
export class SessionValues {
  #base: ReadonlyMap<string, JsonValue>;
  #changes: Map<string, Change> | undefined;
  #isCleared = false;
  /** Base and changes together, until the next change. */
  #merged: ReadonlyMap<string, JsonValue> | undefined;
  /** The same as JSON text. */
  #json: string | undefined;

  constructor(base: ReadonlyMap<string, JsonValue> = NO_VALUES) {
    this.#base = base;
  }

  /** Whether this request set, deleted or cleared anything. */
  get isChanged(): boolean {
    return this.#isCleared || this.#changes !== undefined;
  }

  get isEmpty(): boolean {
    return this.toMap().size === 0;
  }

  /** The deep-frozen value of a key; `undefined` when there is none. */
  get(key: string): JsonValue | undefined {
    const change = this.#changes?.get(key);
    if (change !== undefined) return change === DELETED ? undefined : change;
    const value = this.#isCleared ? undefined : this.#base.get(key);
    return value === undefined ? undefined : deepFreeze(value);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /**
   * Sets a key to a frozen copy of a value.
   *
   * @param check called with the value in place; when it throws, the key keeps its former value
   */
  set(key: string, value: unknown, check: () => void): void {
    const copy = copyAsJson(value, `session value "${key}"`);
    const wasChanged = this.#changes !== undefined;
    const before = this.#changes?.get(key);
    this.#change(key, copy);
    try {
      check();
    } catch (error) {
      if (!wasChanged) this.#changes = undefined;
      else if (before === undefined) this.#changes?.delete(key);
      else this.#changes?.set(key, before);
      this.#forgetMerged();
      throw error;
    }
  }

  /** @returns whether there was such a key */
  delete(key: string): boolean {
    if (!this.has(key)) return false;
    this.#change(key, DELETED);
    return true;
  }

  /** Deletes every key, also those that another request adds meanwhile. */
  clear(): void {
    if (this.isEmpty) return;
    this.#isCleared = true;
    this.#changes = undefined;
    this.#forgetMerged();
  }

  /** Makes the changes of this request changes of another state of the same session. */
  rebase(base: ReadonlyMap<string, JsonValue>): void {
    this.#base = base;
    this.#forgetMerged();
  }

  /** All as it stands now. The map is not changed later, so it may be shared. */
  toMap(): ReadonlyMap<string, JsonValue> {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  /** All as one object, made new, with deep-frozen values. */
  toRecord(): { [key: string]: JsonValue } {
    // Object.fromEntries defines "__proto__" as a member like any other.
    const record = Object.fromEntries(this.toMap());
    for (const value of Object.values(record)) deepFreeze(value);
    return record;
  }

  /** All as JSON text. */
  toJsonText(): string {
    this.#json ??= JSON.stringify(Object.fromEntries(this.toMap()));
    return this.#json;
  }

  #change(key: string, change: Change): void {
    this.#changes ??= new Map();
    this.#changes.set(key, change);
    this.#forgetMerged();
  }

  #forgetMerged(): void {
    this.#merged = undefined;
    this.#json = undefined;
  }

  #merge(): ReadonlyMap<string, JsonValue> {
    const base = this.#isCleared ? NO_VALUES : this.#base;
    if (this.#changes === undefined) return base;
    const merged = new Map(base);
    for (const [key, change] of this.#changes) {
      if (change === DELETED) merged.delete(key);
      else merged.set(key, change);
    }
    return merged;
  }
}
