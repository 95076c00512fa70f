import { deepFreeze } from "../core/json.js";
import { copyAsJson, define, type JsonRecord, type JsonValue } from "./json.js";

const DELETED = Symbol("deleted");

/** One value of a session under its key. Requests with the same cookie share it. */
export class SessionMember {
  readonly #key: string;
  readonly #value: JsonValue;
  #json: string | undefined;

  constructor(key: string, value: JsonValue) {
    this.#key = key;
    this.#value = value;
  }

  /** Deep-frozen when it is first asked for: most requests read few of the values. */
  get value(): JsonValue {
    return deepFreeze(this.#value);
  }

  /**
   * `"key":value` as JSON text, made once: a client that writes on every request pays for the value that
   * it sets, and not for those beside it.
   */
  get json(): string {
    this.#json ??= `${JSON.stringify(this.#key)}:${JSON.stringify(this.#value)}`;
    return this.#json;
  }
}

/** The values of a session by key. */
export type SessionMembers = ReadonlyMap<string, SessionMember>;

/** What a session without values holds. */
export const NO_VALUES: SessionMembers = new Map();

/** What was opened or loaded, as the values of a session. */
export function membersOf(record: JsonRecord | undefined): SessionMembers {
  if (record === undefined) return NO_VALUES;
  const members = new Map<string, SessionMember>();
  for (const key of Object.keys(record)) {
    const value = record[key];
    if (value !== undefined) members.set(key, new SessionMember(key, value));
  }
  return members;
}

/** Values as one object, made new. */
export function recordOfMembers(members: SessionMembers): { [key: string]: JsonValue } {
  const record: { [key: string]: JsonValue } = {};
  for (const [key, member] of members) define(record, key, member.value);
  return record;
}

type Change = SessionMember | typeof DELETED;

/** Changes that are being saved. */
export interface ChangesToSave {
  readonly changes: ReadonlyMap<string, Change>;
  /** How often all was cleared before. */
  readonly clears: number;
}

/**
 * The values of one session by key, as they were opened and what this request changed about them.
 *
 * What was opened is never written to, so it may be shared by requests; the changes are kept apart,
 * so they can be made again on top of what another request saved meanwhile.
 */
export class SessionValues {
  #base: SessionMembers;
  #changes: Map<string, Change> | undefined;
  #isCleared = false;
  #clears = 0;
  /** Base and changes together, until the next change. */
  #merged: SessionMembers | undefined;
  /** The same as JSON text. */
  #json: string | undefined;

  constructor(base: SessionMembers = NO_VALUES) {
    this.#base = base;
  }

  /** The values as they were opened, or as they were stored when that was looked at last. */
  get base(): SessionMembers {
    return this.#base;
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
    if (change !== undefined) return change === DELETED ? undefined : change.value;
    return this.#isCleared ? undefined : this.#base.get(key)?.value;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /**
   * Sets a key to a frozen copy of a value. One that is there already is no change.
   *
   * @param check called with the value in place; when it throws, the key keeps its former value
   */
  set(key: string, value: unknown, check: () => void): void {
    const member = new SessionMember(key, copyAsJson(value, `session value "${key}"`));
    const wasChanged = this.#changes !== undefined;
    const before = this.#changes?.get(key);
    const current = before ?? (this.#isCleared ? undefined : this.#base.get(key));
    if (current !== undefined && current !== DELETED && current.json === member.json) return;
    this.#change(key, member);
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
    this.#clears += 1;
    this.#changes = undefined;
    this.#forgetMerged();
  }

  /** Makes the changes of this request changes of another state of the same session. */
  rebase(base: SessionMembers): void {
    if (this.#base === base) return;
    this.#base = base;
    this.#forgetMerged();
  }

  /** Takes what was opened, or what is stored by now, for all there is: the changes are forgotten. */
  reset(base: SessionMembers = this.#base): void {
    this.#base = base;
    this.#changes = undefined;
    this.#isCleared = false;
    this.#forgetMerged();
  }

  /** The changes that a save begins with, for {@link settle}. */
  begin(): ChangesToSave {
    return { changes: new Map(this.#changes), clears: this.#clears };
  }

  /**
   * Takes what was saved for what was opened. What was changed since the save began is a change still.
   *
   * @param stored all that is stored now, where others were saved together with this
   */
  settle({ changes, clears }: ChangesToSave, stored?: SessionMembers): void {
    // Cleared since: nothing of what was saved stays.
    if (clears !== this.#clears) return;
    this.#base = stored ?? applied(this.#isCleared ? NO_VALUES : this.#base, changes);
    this.#isCleared = false;
    for (const [key, change] of changes) if (this.#changes?.get(key) === change) this.#changes.delete(key);
    if (this.#changes?.size === 0) this.#changes = undefined;
    this.#forgetMerged();
  }

  /** All as it stands now. The map is not changed later, so it may be shared. */
  toMap(): SessionMembers {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  /** All as one object, made new, with deep-frozen values. */
  toRecord(): { [key: string]: JsonValue } {
    return recordOfMembers(this.toMap());
  }

  /** All as JSON text. */
  toJsonText(): string {
    if (this.#json !== undefined) return this.#json;
    let members = "";
    for (const member of this.toMap().values()) members += members === "" ? member.json : `,${member.json}`;
    this.#json = `{${members}}`;
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

  #merge(): SessionMembers {
    const base = this.#isCleared ? NO_VALUES : this.#base;
    return this.#changes === undefined ? base : applied(base, this.#changes);
  }
}

function applied(base: SessionMembers, changes: ReadonlyMap<string, Change>): SessionMembers {
  const merged = new Map(base);
  for (const [key, change] of changes) {
    if (change === DELETED) merged.delete(key);
    else merged.set(key, change);
  }
  return merged;
}
