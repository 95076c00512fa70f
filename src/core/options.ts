import { inspect, types } from "node:util";
import { ConfigError, type ConfigErrorCode } from "./errors.js";
import { nearMiss, suggestion } from "./spelling.js";

/**
 * Reads one option: asks `fields` for what was given under `name`, answers with the typed value, and refuses
 * what does not fit with the methods of `fields`. An option given as `undefined` counts as not given.
 */
export type Reader<Value> = (fields: Fields, name: string) => Value;

export type Readers<Values> = { readonly [Name in keyof Values]-?: Reader<Values[Name]> };

/** The options of a class as it keeps them: each with its value, and `Absent` those that have no default. */
export type Settled<Options, Absent extends keyof Options = never> = {
  readonly [Name in keyof Omit<Options, Absent>]-?: Exclude<Options[Name], undefined>;
} & Pick<Options, Absent>;

/**
 * The options that a class or function was given, read through its table of readers: text from outside
 * becomes typed values here, once. What does not fit is a `ConfigError` that names class, field, problem and mend.
 */
export class Fields<Values = unknown> {
  /** What the readers made of the options, frozen. */
  readonly values: Readonly<Values>;
  readonly #given: Readonly<Record<string, unknown>>;

  /**
   * @param subject the class, as it stands in messages
   * @param options what the user gave
   * @param readers a reader for each option
   * @param others whether options that are not in the table are refused, or those alone that look like a slip
   *   for one: of an object that others have options in too
   */
  constructor(
    readonly subject: string,
    options: unknown,
    readers: Readers<Values>,
    others: "refused" | "allowed" = "refused",
  ) {
    if (options !== undefined && !isBag(options)) {
      throw new ConfigError({
        code: "CELLO_WRONG_TYPE",
        subject,
        // A string here is often the secret itself, given without its field.
        problem: `takes an options object, got ${describeKind(options)}`,
        mend: `write new ${subject}({ ... })`,
      });
    }
    this.#given = options ?? {};
    this.#refuseUnknown(Object.keys(readers), others);
    const entries = Object.entries<Reader<unknown>>(readers).map(([name, read]) => [name, read(this, name)]);
    // The table has a reader for each name of Values, and that reader makes a value of its type.
    this.values = Object.freeze(Object.fromEntries(entries)) as Values;
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined;
  }

  given(name: string): unknown {
    return this.#given[name];
  }

  /** Refuses a value of the wrong type. */
  wrongType(name: string, problem: string, mend: string): never {
    return this.fail("CELLO_WRONG_TYPE", name, problem, mend);
  }

  /** Refuses a value of the right type that cannot be used. */
  invalid(name: string, problem: string, mend: string): never {
    return this.fail("CELLO_INVALID_VALUE", name, problem, mend);
  }

  /** Refuses a value that is fine by itself, and wrong beside the other fields. */
  conflict(name: string, problem: string, mend: string): never {
    return this.fail("CELLO_CONFLICT", name, problem, mend);
  }

  /** Refuses with any other code. */
  fail(code: ConfigErrorCode, name: string, problem: string, mend: string): never {
    throw new ConfigError({ code, subject: this.subject, field: name, problem, mend });
  }

  #refuseUnknown(known: readonly string[], others: "refused" | "allowed"): void {
    for (const name of Object.keys(this.#given)) {
      if (known.includes(name) || (others === "allowed" && nearMiss(name, known) === undefined)) continue;
      this.fail("CELLO_UNKNOWN_FIELD", name, "no such field", suggestion(name, known));
    }
  }
}

/** What a table of readers makes of options. */
export type Values<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Reader<infer Value> ? Value : never;
};

/**
 * The values of options that need no checks beside those of their readers; as {@link Fields}.
 *
 * @throws ConfigError for an option that is unknown or cannot be used
 */
export function read<Values>(
  subject: string,
  options: unknown,
  readers: Readers<Values>,
  others: "refused" | "allowed" = "refused",
): Readonly<Values> {
  return new Fields(subject, options, readers, others).values;
}

/** A class of configurations, whose constructor says what is wrong with its options. */
type ConfigClass<Config, Options> = new (options: Options) => Config;

/** A configuration as it was given, or one made of plain options. */
export function configOf<Config extends object, Options>(
  Class: ConfigClass<Config, Options>,
  given: Config | Options,
): Config {
  return given instanceof Class ? given : new Class(given as Options);
}

/** Reads a configuration, or its plain options. */
export function config<Config extends object, Options>(
  Class: ConfigClass<Config, Options>,
): Reader<Config | undefined> {
  return optional(undefined, (_fields, _name, value) => configOf(Class, value as Config | Options));
}

/** The one `word`, such as `false` or `"auto"`, or what `reader` reads. */
export function or<const Word, Value>(word: Word, reader: Reader<Value>): Reader<Word | Value> {
  return (fields, name) => (fields.given(name) === word ? word : reader(fields, name));
}

/** What was given, for options that are read beside others. */
export const unread: Reader<unknown> = (fields, name) => fields.given(name);

/** `fallback` where nothing was given, else what `read` makes of it. */
export function optional<Value, Fallback>(
  fallback: Fallback,
  read: (fields: Fields, name: string, value: unknown) => Value,
): Reader<Value | Fallback> {
  return (fields, name) => {
    const value = fields.given(name);
    return value === undefined ? fallback : read(fields, name, value);
  };
}

/** Refuses an option that was not given. */
export function required<Value>(mend: string, reader: Reader<Value | undefined>): Reader<Value> {
  return (fields, name) => {
    const value = reader(fields, name);
    return value === undefined ? fields.fail("CELLO_MISSING", name, "is required", mend) : value;
  };
}

/** What is checked of a value: of a list its entries. */
type EntryOf<Value> = Exclude<Value, undefined> extends readonly (infer Entry)[] ? Entry : Exclude<Value, undefined>;

/** Refuses what another reader has read, or an entry of its list, when it does not fit. */
export function fitting<Value>(
  reader: Reader<Value>,
  fits: (entry: EntryOf<Value>) => boolean,
  problem: string | ((entry: EntryOf<Value>) => string),
  mend: string,
): Reader<Value> {
  return (fields, name) => {
    const value = reader(fields, name);
    const entries = (value === undefined ? [] : Array.isArray(value) ? value : [value]) as EntryOf<Value>[];
    const wrong = entries.find((entry) => !fits(entry));
    if (wrong !== undefined) fields.invalid(name, typeof problem === "string" ? problem : problem(wrong), mend);
    return value;
  };
}

export function flag<Fallback extends boolean | undefined>(fallback: Fallback): Reader<boolean | Fallback> {
  return optional(fallback, (fields, name, value) => {
    if (typeof value === "boolean") return value;
    return fields.wrongType(
      name,
      `must be true or false, got ${describe(value)}`,
      "write true or false, without quotes",
    );
  });
}

/**
 * A number from `min` to `max`, by its `unit` for the message, such as `seconds`; `""` for none. The last argument
 * is the default.
 */
export const number = numeric("a number", Number.isFinite);

/** A whole number, as {@link number}. */
export const integer = numeric("a whole number", Number.isInteger);

function numeric(kind: string, isOfKind: (value: number) => boolean) {
  return <Fallback extends number | undefined>(
    min: number,
    max: number,
    unit: string,
    fallback: Fallback,
  ): Reader<number | Fallback> => {
    const wanted = `${kind} from ${min} to ${max} ${unit}`.trimEnd();
    return optional(fallback, (fields, name, value) => {
      if (typeof value !== "number") {
        return fields.wrongType(name, `must be a number, got ${describe(value)}`, `give ${wanted}`);
      }
      if (isOfKind(value) && value >= min && value <= max) return value;
      return fields.fail("CELLO_OUT_OF_RANGE", name, `${value} is out of range`, `give ${wanted}`);
    });
  };
}

/** A string that is not blank and has no control characters (so it can stand in a header). */
export function text<Fallback extends string | undefined>(fallback: Fallback): Reader<string | Fallback> {
  return optional(fallback, textOf);
}

/** A frozen list of such strings. */
export function texts(fallback: readonly string[]): Reader<readonly string[]>;
export function texts(fallback: undefined): Reader<readonly string[] | undefined>;
export function texts(fallback: readonly string[] | undefined): Reader<readonly string[] | undefined> {
  return optional(fallback && Object.freeze([...fallback]), (fields, name, value) => {
    if (Array.isArray(value)) return Object.freeze(value.map((entry: unknown) => textOf(fields, name, entry)));
    return fields.wrongType(name, `must be a list of strings, got ${describe(value)}`, 'write ["...", "..."]');
  });
}

/** One such string, or a frozen list of at least one. */
export const textOrTexts: Reader<string | readonly string[] | undefined> = (fields, name) => {
  const value = fields.given(name);
  if (!Array.isArray(value)) return text(undefined)(fields, name);
  if (value.length > 0) return texts(undefined)(fields, name);
  return fields.invalid(name, "is an empty list", "name at least one, or leave the field out");
};

/** The text of a value that was given, as {@link text}. */
export function textOf(fields: Fields, name: string, value: unknown): string {
  if (typeof value !== "string") {
    return fields.wrongType(name, `must be a string, got ${describe(value)}`, "give a string");
  }
  if (value.trim() === "") {
    const problem = value === "" ? "is an empty string" : "is blank";
    return fields.invalid(name, problem, "give a value, or leave the field out");
  }
  if (!hasControlCharacter(value)) return value;
  const mend = "remove line breaks and other control characters";
  return fields.invalid(name, "contains a control character", mend);
}

export function oneOf<Value extends string | boolean | null, Fallback extends Value | undefined>(
  values: readonly Value[],
  fallback: Fallback,
): Reader<Value | Fallback> {
  return optional(fallback, (fields, name, value) => {
    const match = values.find((candidate) => candidate === value);
    if (match !== undefined) return match;
    const list = values.map((candidate) => JSON.stringify(candidate)).join(", ");
    return fields.invalid(name, `${describe(value)} is not one of its values`, `give one of ${list}`);
  });
}

/** A function; what it takes and answers is known only once it is called. */
export function fn<Fn extends (...args: never[]) => unknown>(): Reader<Fn | undefined> {
  return optional(undefined, (fields, name, value) => {
    if (typeof value === "function") return value as Fn;
    return fields.wrongType(name, `must be a function, got ${describe(value)}`, "give a function");
  });
}

/**
 * An object with these methods, such as a store. What was given in its place is not shown: it is often a URL,
 * and that may hold a password.
 *
 * @param what for the message: `a store`
 */
export function object<Given extends object>(
  methods: readonly (keyof Given & string)[],
  what: string,
  mend: string,
): Reader<Given | undefined> {
  return optional(undefined, (fields, name, value) => {
    if (hasMethods<Given>(value, methods)) return value;
    const missing = methods.filter((method) => !hasMethods(value, [method]));
    const isObject = typeof value === "object" && value !== null;
    const problem = isObject ? `lacks ${missing.join(", ")}()` : `is ${describeKind(value)}, not ${what}`;
    return fields.wrongType(name, problem, mend);
  });
}

/** Whether a value is an object that has these methods, which is all that can be seen of a store. */
export function hasMethods<Given extends object>(
  value: unknown,
  methods: readonly (keyof Given & string)[],
): value is Given {
  if (typeof value !== "object" || value === null) return false;
  return methods.every((method) => typeof Reflect.get(value, method) === "function");
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

/** Names a value's kind and shows no text of it, for options that may hold a password or a key. */
export function describeKind(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number" || typeof value === "boolean") return inspect(value);
  return typeof value === "object" ? `an object (${value.constructor?.name ?? "no class"})` : `a ${typeof value}`;
}

/** Names a value for a message, and shows it when it is a short text: for options that hold no secrets. */
export function describe(value: unknown): string {
  if (typeof value !== "string") return describeKind(value);
  if (value === "") return "an empty string";
  return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
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
