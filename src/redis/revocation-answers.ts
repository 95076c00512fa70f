import type { RedisArgument } from "./connection.js";

/** One thing that was revoked, as it stands in the shared list. */
export interface RevocationEntry {
  /** `t` for a token, `s` for a subject. */
  readonly kind: "t" | "s";
  /** The token's id, or the subject. */
  readonly name: string;
  /** For a subject: tokens issued until then are refused, in milliseconds since 1970. For a token 0. */
  readonly untilMs: number;
  /** Until when it is remembered, in milliseconds since 1970; `Infinity` for ever. */
  readonly expiresMs: number;
}

/** The arguments of `add` for an entry. */
export function argumentsOf({ kind, name, untilMs, expiresMs }: RevocationEntry): RedisArgument[] {
  return [kind, writeName(name), String(untilMs), Number.isFinite(expiresMs) ? String(expiresMs) : "inf"];
}

/** The arguments of `fill` for some entries. */
export function fillArgumentsOf(entries: readonly RevocationEntry[]): RedisArgument[] {
  const tokens: RedisArgument[] = [0];
  const subjects: RedisArgument[] = [];
  for (const entry of entries) {
    const args = argumentsOf(entry);
    const [, name = "", , expires = ""] = args;
    if (entry.kind === "t") tokens.push(expires, name);
    else subjects.push(...args);
  }
  tokens[0] = (tokens.length - 1) / 2;
  return tokens.concat(subjects);
}

/** What `news` answers. */
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

/** @throws TypeError for an answer that is not one of `news` */
export function readNews(answer: unknown): News {
  if (!Array.isArray(answer)) throw strange();
  const [epoch, seq, floor, isBehind, phase, filled, ...changes]: unknown[] = answer;
  if (typeof epoch !== "string" || typeof seq !== "string" || typeof floor !== "string") throw strange();
  if (phase !== "whole" && phase !== "fill" && phase !== "wait") throw strange();
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

/** @throws TypeError for an answer that is not one of `list` */
export function readList(kind: "t" | "s", answer: unknown): { cursor: string; entries: RevocationEntry[] } {
  if (!Array.isArray(answer)) throw strange();
  const [cursor, items]: unknown[] = answer;
  if (typeof cursor !== "string" || !Array.isArray(items)) throw strange();
  const entries: RevocationEntry[] = [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const [name, value]: unknown[] = [items[index], items[index + 1]];
    if (typeof name !== "string" || typeof value !== "string") throw strange();
    const [untilMs = "0", expiresMs = ""] = kind === "t" ? ["0", value] : value.split(" ");
    entries.push({ kind, name: readName(name), untilMs: readNumber(untilMs), expiresMs: readNumber(expiresMs) });
  }
  return { cursor, entries };
}

function readChange(text: unknown): News["changes"][number] {
  const parts = typeof text === "string" ? /^(\d+):([ts]):([^:]*):([^:]*):(.*)$/s.exec(text) : null;
  if (parts === null) throw strange();
  const [, seq = "", kind, untilMs = "", expiresMs = "", name = ""] = parts;
  const entry: RevocationEntry = {
    kind: kind === "t" ? "t" : "s",
    name: readName(name),
    untilMs: readNumber(untilMs),
    expiresMs: readNumber(expiresMs),
  };
  return { seq, entry };
}

function readNumber(text: string): number {
  const value = text === "inf" ? Number.POSITIVE_INFINITY : Number(text);
  if (Number.isNaN(value)) throw strange();
  return value;
}

/** As JSON, since not every JavaScript string survives UTF-8: half a surrogate pair does not. */
function writeName(name: string): string {
  return JSON.stringify(name);
}

function readName(text: string): string {
  // Hundreds of thousands of them are plain.
  if (text.startsWith('"') && text.endsWith('"') && text.length > 1 && !text.includes("\\")) return text.slice(1, -1);
  const name: unknown = JSON.parse(text);
  if (typeof name !== "string") throw strange();
  return name;
}

function strange(): TypeError {
  return new TypeError("Redis answered with something that is no list of revocations");
}
