import { inspect, types } from "node:util";
import { ConfigError, type ConfigErrorCode } from "./errors.js";

/** Bounds of a number field; both ends belong to the range. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** `true`: whole numbers only. */
  readonly whole?: boolean;
  /** The unit, for the message: `seconds`, `bytes`. */
  readonly unit?: string;
}

/**
 * Reads a plain options object field by field and refuses what does not fit with a `ConfigError`
 * that names class, field, problem and mend.
 *
 * Each config class makes one, asks it for every field, and keeps the typed answers: text from
 * outside becomes a typed value here, once. An option given as `undefined` counts as not given.
 */
export class ConfigFields {
  readonly #options: Readonly<Record<string, unknown>>;

  /**
   * @param subject the config class, as it stands in messages
   * @param options what the user gave
   * @param known the names of all fields; any other is refused
   */
  constructor(
    readonly subject: string,
    options: unknown,
    known: readonly string[],
  ) {
    if (options !== undefined && !isBag(options)) {
      throw new ConfigError({
        code: "CELLO_WRONG_TYPE",
        subject,
        // A string here is often the secret itself, given without its field.
        problem: `takes an options object, got ${typeof options === "string" ? "a string" : describe(options)}`,
        mend: `write new ${subject}({ ... })`,
      });
    }
    this.#options = options ?? {};
    for (const name of Object.keys(this.#options)) {
      if (!known.includes(name)) {
        this.fail("CELLO_UNKNOWN_FIELD", name, "no such field", suggestion(name, known));
      }
    }
  }

  /** Whether the user gave this field. */
  has(field: string): boolean {
    return this.#options[field] !== undefined;
  }

  /** The value as given, for fields that a feature parses itself. */
  raw(field: string): unknown {
    return this.#options[field];
  }

  /** Throws the `ConfigError` for a field. */
  fail(code: ConfigErrorCode, field: string, problem: string, mend: string): never {
    throw new ConfigError({ code, subject: this.subject, field, problem, mend });
  }

  /** Throws when a required field is absent. */
  require(field: string, mend: string): void {
    if (!this.has(field)) this.fail("CELLO_MISSING", field, "is required", mend);
  }

  boolean<Fallback extends boolean | undefined>(field: string, fallback: Fallback): boolean | Fallback {
    const value = this.#options[field];
    if (value === undefined) return fallback;
    if (typeof value !== "boolean") {
      this.fail(
        "CELLO_WRONG_TYPE",
        field,
        `must be true or false, got ${describe(value)}`,
        "write true or false, without quotes",
      );
    }
    return value;
  }

  number<Fallback extends number | undefined>(
    field: string,
    fallback: Fallback,
    range: NumberRange,
  ): number | Fallback {
    const value = this.#options[field];
    if (value === undefined) return fallback;
    const unit = range.unit === undefined ? "" : ` ${range.unit}`;
    const wanted = `a ${range.whole === true ? "whole " : ""}number from ${range.min} to ${range.max}${unit}`;
    if (typeof value !== "number") {
      this.fail("CELLO_WRONG_TYPE", field, `must be a number, got ${describe(value)}`, `give ${wanted}`);
    }
    const fits = Number.isFinite(value) && value >= range.min && value <= range.max;
    if (!fits || (range.whole === true && !Number.isInteger(value))) {
      this.fail("CELLO_OUT_OF_RANGE", field, `${value} is out of range`, `give ${wanted}`);
    }
    return value;
  }

  /** A string that is not empty and has no control characters (so it can stand in a header). */
  string<Fallback extends string | undefined>(field: string, fallback: Fallback): string | Fallback {
    const value = this.#options[field];
    if (value === undefined) return fallback;
    return this.#text(field, value);
  }

  oneOf<Value extends string | boolean | null, Fallback extends Value | undefined>(
    field: string,
    values: readonly Value[],
    fallback: Fallback,
  ): Value | Fallback {
    const value = this.#options[field];
    if (value === undefined) return fallback;
    const match = values.find((candidate) => candidate === value);
    if (match === undefined) {
      const list = values.map((candidate) => JSON.stringify(candidate)).join(", ");
      this.fail("CELLO_INVALID_VALUE", field, `${describe(value)} is not one of its values`, `give one of ${list}`);
    }
    return match;
  }

  /** A list of strings; `undefined` when not given. The list is a frozen copy. */
  strings(field: string): readonly string[] | undefined {
    const value = this.#options[field];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) {
      this.fail("CELLO_WRONG_TYPE", field, `must be a list of strings, got ${describe(value)}`, 'write ["...", "..."]');
    }
    return Object.freeze(value.map((entry: unknown) => this.#text(field, entry)));
  }

  /** A string or a list of at least one; always a list inside. `undefined` when not given. */
  oneOrMoreStrings(field: string): readonly string[] | undefined {
    const value = this.#options[field];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) return Object.freeze([this.#text(field, value)]);
    if (value.length === 0) {
      this.fail("CELLO_INVALID_VALUE", field, "is an empty list", "name at least one, or leave the field out");
    }
    return this.strings(field);
  }

  function<Fn extends (...args: never[]) => unknown>(field: string): Fn | undefined {
    const value = this.#options[field];
    if (value === undefined) return undefined;
    if (!isFunction<Fn>(value)) {
      this.fail("CELLO_WRONG_TYPE", field, `must be a function, got ${describe(value)}`, "give a function");
    }
    return value;
  }

  #text(field: string, value: unknown): string {
    if (typeof value !== "string") {
      this.fail("CELLO_WRONG_TYPE", field, `must be a string, got ${describe(value)}`, "give a string");
    }
    if (value.trim() === "")
      this.fail(
        "CELLO_INVALID_VALUE",
        field,
        value === "" ? "is an empty string" : "is blank",
        "give a value, or leave the field out",
      );
    if (hasControlCharacter(value)) {
      this.fail(
        "CELLO_INVALID_VALUE",
        field,
        "contains a control character",
        "remove line breaks and other control characters",
      );
    }
    return value;
  }
}

/** An HTTP field name or cookie name: a token of RFC 9110 section 5.6.2. */
export function isHttpToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** Whether a text has a character that ends or corrupts a header line (RFC 9110 section 5.5). */
export function hasControlCharacter(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what we look for.
  return /[\u0000-\u001f\u007f]/.test(text);
}

/** Names a value's kind and shows nothing of it, for fields that may hold a password or a key. */
export function describeKind(value: unknown): string {
  return typeof value === "string" ? "a string" : describe(value);
}

/** Names a value for a message; for values that hold no secrets. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number" || typeof value === "boolean") return inspect(value);
  if (typeof value === "string")
    return value === ""
      ? "an empty string"
      : value.length <= 40
        ? JSON.stringify(value)
        : `a string of ${value.length} characters`;
  if (typeof value === "object") return `an object (${value.constructor?.name ?? "no class"})`;
  return `a ${typeof value}`;
}

/**
 * Whether a value can say something by the names of its properties. What has no such names says nothing, and
 * all that somebody wanted by it would be off: a promise that nobody waited for, a `Map`, `Headers`, a date.
 */
export function isBag(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  if (Symbol.iterator in value || types.isDate(value)) return false;
  return !("then" in value && typeof value.then === "function");
}

function isFunction<Fn>(value: unknown): value is Fn {
  return typeof value === "function";
}

/** `did you mean "expiration"?` for a near miss, else the list of what there is. */
export function suggestion(name: string, known: readonly string[], what = "fields"): string {
  const flat = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const near =
    known.find((field) => flat(field) === flat(name)) ?? known.find((field) => distance(flat(field), flat(name)) <= 2);
  return near === undefined ? `its ${what} are ${known.join(", ")}` : `did you mean "${near}"?`;
}

/**
 * The field that somebody who wrote this name surely meant, for options that others may add fields to.
 *
 * Stricter than the suggestions above, because here a wrong guess would refuse a good option: another
 * case or punctuation, one letter too many or too few, two letters swapped, and in long names any
 * two slips.
 */
export function misspelledField(name: string, known: readonly string[]): string | undefined {
  const flat = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const letters = (text: string) => [...text].sort().join("");
  const given = flat(name);
  return known.find((field) => {
    const wanted = flat(field);
    if (given === wanted) return true;
    if (given[0] !== wanted[0]) return false;
    if (wanted.length > 6) return distance(given, wanted) <= 2;
    if (given.length === wanted.length) return letters(given) === letters(wanted);
    return distance(given, wanted) === 1;
  });
}

/** Levenshtein distance: the number of single-letter edits between two names. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
