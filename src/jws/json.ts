import { isUtf8 } from "node:buffer";
import { isJsonObject, type JsonObject } from "../core/json.js";

/** Deeper nesting is refused, so that walking a hostile value cannot exhaust the stack. */
const MAX_DEPTH = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const DIGIT_8 = 0x38;
const SMALL_C = 0x63;
const SMALL_D = 0x64;
const SMALL_U = 0x75;
const LOWER_CASE = 0x20;

/** From the `u` of the first escape of a pair to the `u` of its second. */
const LENGTH_TO_PAIRED = 6;

/**
 * Parses one JSON object strictly (RFC 7515 section 4, RFC 8725 section 2.4): valid UTF-8, no byte
 * order mark, an object and nothing else, no member name twice in any object of it.
 *
 * Two parsers that pick different members of a duplicate see two different tokens, so duplicates
 * are refused at every depth, also when one is written with an escape (`"a"` and `"\u0061"`). So are
 * halves of surrogate pairs (RFC 7493 section 2.1): wherever text becomes bytes they all turn into the
 * same replacement character, and two subjects into one.
 *
 * @returns `undefined` when the bytes are anything else
 */
export function parseJsonObject(bytes: Uint8Array): JsonObject | undefined {
  // JSON.parse refuses the byte order mark by itself: Buffer keeps it as U+FEFF, which is no white space in JSON.
  if (!isUtf8(bytes)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  // JSON.parse keeps the last of several members: then it has fewer than the text.
  return countMembers(value, 0) === countColons(bytes) ? value : undefined;
}

/**
 * The text of an object as `parseJsonObject` reads it.
 *
 * @returns `undefined` when it would not be read: half of a surrogate pair in a string
 * @throws TypeError for what JSON cannot carry
 */
export function writeJsonObject(value: object): string | undefined {
  const text = JSON.stringify(value);
  // JSON.stringify escapes of all surrogates only those that are alone.
  return text.includes("\\ud") && parseJsonObject(Buffer.from(text)) === undefined ? undefined : text;
}

function textOf(bytes: Uint8Array): string {
  const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.toString("utf8");
}

/**
 * Colons outside of strings: one for each member. The text is known to be valid JSON.
 *
 * @returns not a number when a string has half of a surrogate pair
 */
function countColons(bytes: Uint8Array): number {
  const length = bytes.length;
  let colons = 0;
  let isInString = false;
  for (let index = 0; index < length; index++) {
    const byte = bytes[index];
    if (isInString) {
      if (byte === BACKSLASH) {
        index++;
        if (bytes[index] === SMALL_U && isSurrogate(bytes, index + 1)) {
          if (!isPair(bytes, index + 1)) return Number.NaN;
          index += LENGTH_TO_PAIRED;
        }
      } else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) isInString = true;
    else if (byte === COLON) colons++;
  }
  return colons;
}

/** Whether four hex digits are those of a surrogate: d800 to dfff. */
function isSurrogate(bytes: Uint8Array, at: number): boolean {
  return isLetterD(bytes[at]) && (bytes[at + 1] ?? 0) >= DIGIT_8;
}

/** Whether the surrogate whose four hex digits begin here is a high one before an escaped low one. */
function isPair(bytes: Uint8Array, at: number): boolean {
  if (isLow(bytes, at) || bytes[at + 4] !== BACKSLASH || bytes[at + 5] !== SMALL_U) return false;
  return isLetterD(bytes[at + 6]) && isLow(bytes, at + 6);
}

/** Whether the second of four hex digits is from c to f, in either case. */
function isLow(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at + 1] ?? 0) | LOWER_CASE) >= SMALL_C;
}

function isLetterD(byte: number | undefined): boolean {
  return ((byte ?? 0) | LOWER_CASE) === SMALL_D;
}

/** Members of all objects in a parsed value; not a number when it is nested too deeply. */
function countMembers(value: JsonObject, depth: number): number {
  if (depth > MAX_DEPTH) return Number.NaN;
  const names = Object.keys(value);
  let members = names.length;
  for (const name of names) {
    const inner = value[name];
    if (typeof inner === "object" && inner !== null) members += countInner(inner, depth + 1);
  }
  return members;
}

function countInner(value: object, depth: number): number {
  if (isJsonObject(value)) return countMembers(value, depth);
  if (!Array.isArray(value) || depth > MAX_DEPTH) return Number.NaN;
  let members = 0;
  for (const entry of value) {
    if (typeof entry === "object" && entry !== null) members += countInner(entry, depth + 1);
  }
  return members;
}
