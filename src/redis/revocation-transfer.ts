import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { RedisArgument, RedisConnection } from "./connection.js";
import type { RevocationCopy, RevocationEntry } from "./revocation-copy.js";
import { REVOCATION_SCRIPTS, revocationKeys } from "./revocation-scripts.js";
import { unexpectedReply } from "./script.js";

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

export interface News {
  readonly epoch: string;
  /** Number of the last change, as text: it has more digits than a score shows. */
  readonly seq: string;
  /** Number of the last change that the log does not have any more, as text. */
  readonly floor: string;
  /** The epoch is another, or the log does not reach back far enough: there are no changes here. */
  readonly isBehind: boolean;
  /** Whether the list is whole, or filled by who asked, or has to be waited for. */
  readonly phase: "whole" | "fill" | "wait";
  /** How many of its parts are filled. */
  readonly filled: number;
  readonly changes: readonly { readonly seq: string; readonly entry: RevocationEntry }[];
}

/** What a process tells and asks the shared list, in calls of bounded size. */
export class RevocationTransfer {
  readonly #connection: RedisConnection;
  readonly #copy: RevocationCopy;
  readonly #keys: readonly string[];
  readonly #processId = randomUUID();

  constructor(connection: RedisConnection, copy: RevocationCopy) {
    this.#connection = connection;
    this.#copy = copy;
    this.#keys = revocationKeys(connection.prefix);
  }

  /** Adds entries to the list, as news for all. */
  async tell(entries: Iterable<RevocationEntry>): Promise<void> {
    for (const chunk of chunksOf(entries, CHUNK)) {
      await this.#run("add", [randomUUID(), ...chunk.flatMap(argumentsOf)]);
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
    // An empty copy has nothing to tell.
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
        const call = this.#insist("fill", [epoch, this.#processId, done, isWhole, ...fillArgumentsOf(chunk)]);
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
  async #insist(name: "list" | "fill", args: readonly RedisArgument[]): Promise<unknown> {
    for (let attempt = 1; attempt < MOST_ATTEMPTS; attempt++) {
      try {
        return await this.#run(name, args);
      } catch {
        await wait(PAUSE_MS, undefined, { ref: false });
      }
    }
    return this.#run(name, args);
  }

  #run(name: keyof typeof REVOCATION_SCRIPTS, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#connection.run(REVOCATION_SCRIPTS[name], this.#keys, args);
  }
}

function argumentsOf({ kind, name, untilMs, expiresMs }: RevocationEntry): string[] {
  // As JSON, since not every JavaScript string survives UTF-8: half a surrogate pair does not.
  return [kind, JSON.stringify(name), String(untilMs), Number.isFinite(expiresMs) ? String(expiresMs) : "inf"];
}

function fillArgumentsOf(entries: readonly RevocationEntry[]): RedisArgument[] {
  const tokens: string[] = [];
  const subjects: string[] = [];
  for (const entry of entries) {
    const args = argumentsOf(entry);
    const [, name = "", , expires = ""] = args;
    if (entry.kind === "t") tokens.push(expires, name);
    else subjects.push(...args);
  }
  return [tokens.length / 2, ...tokens, ...subjects];
}

function readNews(answer: unknown): News {
  if (!Array.isArray(answer)) throw noRevocations();
  const [epoch, seq, floor, isBehind, phase, filled, ...changes]: unknown[] = answer;
  if (typeof epoch !== "string" || typeof seq !== "string" || typeof floor !== "string") throw noRevocations();
  if (phase !== "whole" && phase !== "fill" && phase !== "wait") throw noRevocations();
  return {
    epoch,
    seq,
    floor,
    isBehind: isBehind === 1,
    phase,
    filled: readNumber(String(filled)),
    changes: changes.map(readChange),
  };
}

function readList(kind: "t" | "s", answer: unknown): { cursor: string; entries: RevocationEntry[] } {
  if (!Array.isArray(answer)) throw noRevocations();
  const [cursor, items]: unknown[] = answer;
  if (typeof cursor !== "string" || !Array.isArray(items)) throw noRevocations();
  const entries: RevocationEntry[] = [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const [name, value]: unknown[] = [items[index], items[index + 1]];
    if (typeof name !== "string" || typeof value !== "string") throw noRevocations();
    const [untilMs = "0", expiresMs = ""] = kind === "t" ? ["0", value] : value.split(" ");
    entries.push(readEntry(kind, name, untilMs, expiresMs));
  }
  return { cursor, entries };
}

function readChange(text: unknown): News["changes"][number] {
  const parts = typeof text === "string" ? /^(\d+):([ts]):([^:]*):([^:]*):(.*)$/s.exec(text) : null;
  if (parts === null) throw noRevocations();
  const [, seq = "", kind, untilMs = "", expiresMs = "", name = ""] = parts;
  return { seq, entry: readEntry(kind === "t" ? "t" : "s", name, untilMs, expiresMs) };
}

function readEntry(kind: "t" | "s", name: string, untilMs: string, expiresMs: string): RevocationEntry {
  return { kind, name: readName(name), untilMs: readNumber(untilMs), expiresMs: readNumber(expiresMs) };
}

function readNumber(text: string): number {
  const value = text === "inf" ? Number.POSITIVE_INFINITY : Number(text);
  if (Number.isNaN(value)) throw noRevocations();
  return value;
}

function readName(text: string): string {
  // Hundreds of thousands of them are plain.
  if (text.startsWith('"') && text.endsWith('"') && text.length > 1 && !text.includes("\\")) return text.slice(1, -1);
  const name: unknown = JSON.parse(text);
  if (typeof name !== "string") throw noRevocations();
  return name;
}

function noRevocations(): TypeError {
  return unexpectedReply("list of revocations");
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
