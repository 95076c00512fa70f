import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { RedisConnection } from "./connection.js";
import {
  argumentsOf,
  fillArgumentsOf,
  type News,
  type RevocationEntry,
  readList,
  readNews,
} from "./revocation-answers.js";
import type { RevocationCopy } from "./revocation-copy.js";
import { REVOCATION_SCRIPTS, revocationKeys } from "./revocation-scripts.js";

/** Entries in one call, and changes in one answer. */
export const CHUNK = 500;
/** Entries that fill the list in one call. */
const FILL_CHUNK = 1000;
/** Such calls that are under way at once: one is computed by Redis while the next is written here. */
const FILLS_AT_ONCE = 2;
/** A part that Redis did not answer in time is asked for again so often, after a pause in milliseconds. */
const MOST_ATTEMPTS = 10;
const PAUSE_MS = 100;
/** Parts of which the list is filled, so that another can go on where a filler stopped. */
const PARTS = 256;
/** Entries that are sorted into parts before requests are served again. */
const SORTED_AT_ONCE = 5000;

/** What a process tells and asks the shared list, in calls of bounded size. */
export class RevocationTransfer {
  readonly channel: string;
  readonly #connection: RedisConnection;
  readonly #copy: RevocationCopy;
  readonly #keys: readonly string[];
  readonly #processId = randomUUID();

  constructor(connection: RedisConnection, copy: RevocationCopy) {
    this.#connection = connection;
    this.#copy = copy;
    this.#keys = revocationKeys(connection.prefix);
    this.channel = `${connection.prefix}:revocation:{r}:news`;
  }

  /** Adds entries to the list, as news for all. */
  async tell(entries: Iterable<RevocationEntry>): Promise<void> {
    for (const chunk of chunksOf(entries, CHUNK)) {
      await this.#run("add", [randomUUID(), this.channel, ...chunk.flatMap(argumentsOf)]);
    }
  }

  /**
   * Asks what is new.
   *
   * @param canFill whether this process knows what the list held before an epoch: `1` for sure, `2` as far as it
   * has heard, `0` not
   */
  async ask(epoch: string, seq: string, canFill: 0 | 1 | 2): Promise<News> {
    return readNews(await this.#run("news", [randomUUID(), epoch, seq, CHUNK, this.#processId, canFill]));
  }

  /** Learns the whole list, and tells what is known here and missing there. */
  async view(): Promise<void> {
    // Who knows nothing has nothing to tell.
    const seen = this.#copy.list.size === 0 ? undefined : new Set<string>();
    for (const kind of ["t", "s"] as const) {
      let cursor = "0";
      do {
        const part = readList(kind, await this.#insist("list", [kind, cursor, FILL_CHUNK]));
        for (const entry of part.entries) {
          this.#copy.add(entry);
          seen?.add(kind + entry.name);
        }
        cursor = part.cursor;
      } while (cursor !== "0");
    }
    if (seen === undefined) return;
    const missing = [];
    for (const entry of this.#copy.entries()) if (!seen.has(entry.kind + entry.name)) missing.push(entry);
    await this.tell(missing);
  }

  /**
   * Fills the list of an epoch with what is known here.
   *
   * @param filled how many parts are filled already
   * @returns whether the list is whole now; if not, it was another's turn
   */
  async fill(epoch: string, filled: number): Promise<boolean> {
    const parts = await this.#parts();
    const underWay: Promise<unknown>[] = [];
    for (let part = filled; part < PARTS; part++) {
      const chunks = [...chunksOf(parts[part] ?? [], FILL_CHUNK)];
      // The last part is told even when it is empty: that says that the list is whole.
      if (chunks.length === 0 && part === PARTS - 1) chunks.push([]);
      for (const [index, chunk] of chunks.entries()) {
        const done = index === chunks.length - 1 ? part + 1 : part;
        const isWhole = done === PARTS ? 1 : 0;
        const call = this.#insist("fill", [
          ...[this.channel, epoch, this.#processId, done, isWhole],
          ...fillArgumentsOf(chunk),
        ]);
        // It is awaited below: until then its failure is nobody's.
        call.catch(() => {});
        underWay.push(call);
        if (underWay.length >= FILLS_AT_ONCE && (await underWay.shift()) !== 1) return false;
      }
    }
    return (await Promise.all(underWay)).every((answer) => answer === 1);
  }

  /** What is known here, by parts that are the same in every process. */
  async #parts(): Promise<readonly (readonly RevocationEntry[])[]> {
    const parts: RevocationEntry[][] = Array.from({ length: PARTS }, () => []);
    let count = 0;
    for (const entry of this.#copy.entries()) {
      parts[partOf(entry.name)]?.push(entry);
      if (++count % SORTED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return parts;
  }

  /** Lists of hundreds of parts do not begin again for one that was late; twice does no harm. */
  async #insist(name: "list" | "fill", args: readonly (string | number | Buffer)[]): Promise<unknown> {
    for (let attempt = 1; attempt < MOST_ATTEMPTS; attempt++) {
      try {
        return await this.#run(name, args);
      } catch {
        await wait(PAUSE_MS, undefined, { ref: false });
      }
    }
    return this.#run(name, args);
  }

  #run(name: keyof typeof REVOCATION_SCRIPTS, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    return this.#connection.run(REVOCATION_SCRIPTS[name], this.#keys, args);
  }
}

function* chunksOf<Value>(values: Iterable<Value>, size: number): Generator<Value[]> {
  let chunk: Value[] = [];
  for (const value of values) {
    if (chunk.push(value) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** FNV-1a over the characters: the same everywhere, and even enough for ids that count up. */
function partOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (PARTS - 1);
}
