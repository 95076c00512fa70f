import { describe, isBag } from "./options.js";
import { suggestion } from "./spelling.js";

/** What a function takes, read from how a call of it is written. */
interface Parameters {
  /** `Infinity` for one that takes any number. */
  readonly most: number;
  /** The names that each bag of options may have, by its place. */
  readonly bags: readonly Bag[];
}

interface Bag {
  readonly at: number;
  readonly names: readonly string[];
  /** Whether something else than a bag may stand there too: `name | { name, debt }`. */
  readonly isOneOfSeveral: boolean;
}

type Callable = (this: unknown, ...given: never[]) => unknown;

/** The functions that look at what they are given, each with its call. For the test that walks all of them. */
const calls = new WeakMap<object, string>();

/**
 * Makes methods of a class refuse what they do not understand: more arguments than they take, and options
 * that do not exist. A lock that is asked for in an argument that nobody reads stands open.
 *
 * What a method takes is told as one would write it: `"claims, { expiration, jti, header }"` is two
 * arguments, of which the second has these options; `"...sources"` is any number. An argument given as
 * `undefined` counts as not given. The mistake is a `TypeError`; an async method rejects with it.
 *
 * @param table what each method takes, with a hint for those who expect something else
 */
export function strictMethods(owner: StrictClass, table: Readonly<Record<string, string | StrictCall>>): void {
  makeStrict(owner.prototype, owner.name, table);
}

/** The same for static methods. */
export function strictStatics(owner: StrictClass, table: Readonly<Record<string, string | StrictCall>>): void {
  makeStrict(owner, owner.name, table);
}

interface StrictClass {
  readonly name: string;
  readonly prototype: object;
}

/** What a method takes, and what to tell those who expect that it takes more. */
interface StrictCall {
  readonly takes: string;
  readonly hint: string;
}

/**
 * A function that refuses what it does not understand, as {@link strictMethods} does.
 *
 * @param call how it is written: `"signCompact(payload, key, header)"`
 */
export function strictFunction<Fn extends (...given: never[]) => unknown>(call: string, work: Fn): Fn;
export function strictFunction(call: string, work: Callable): Callable {
  return strict(call, work, "");
}

/**
 * The same for a constructor, which cannot be wrapped: its first line.
 *
 * @param call how it is written: `"new Jwt(config, { clock, events })"`
 */
export function strictConstruction(call: string, given: ArrayLike<unknown>): void {
  const problem = problemOf(call, parametersOf(call), given);
  if (problem !== undefined) throw new TypeError(problem);
}

/** How a function is called, when it refuses everything else. */
export function callOf(work: object): string | undefined {
  return calls.get(work);
}

function makeStrict(owner: object, name: string, table: Readonly<Record<string, string | StrictCall>>): void {
  for (const [method, entry] of Object.entries(table)) {
    const { takes, hint } = typeof entry === "string" ? { takes: entry, hint: "" } : entry;
    const descriptor = Object.getOwnPropertyDescriptor(owner, method);
    const work: unknown = descriptor?.value;
    if (!isCallable(work)) throw new TypeError(`${name}.${method} is not a method`);
    Object.defineProperty(owner, method, { ...descriptor, value: strict(`${name}.${method}(${takes})`, work, hint) });
  }
}

function strict(call: string, work: Callable, hint: string): Callable {
  const parameters = parametersOf(call);
  const { most, bags } = parameters;
  const isAsync = work.constructor.name === "AsyncFunction";
  const refuse = (problem: string) => {
    const error = new TypeError(hint === "" ? problem : `${problem}; ${hint}`);
    if (isAsync) return Promise.reject(error);
    throw error;
  };
  const hasOptions = bags.length > 0;
  const wrapper = function (this: unknown, ...given: never[]): unknown {
    // Without options there is only a number to compare: session.get is called with every request.
    const problem = hasOptions || given.length > most ? problemOf(call, parameters, given) : undefined;
    return problem === undefined ? Reflect.apply(work, this, given) : refuse(problem);
  };
  Object.defineProperty(wrapper, "name", { value: work.name, configurable: true });
  Object.defineProperty(wrapper, "length", { value: work.length, configurable: true });
  calls.set(wrapper, call);
  return wrapper;
}

const known = new Map<string, Parameters>();

function parametersOf(call: string): Parameters {
  const read = known.get(call) ?? readParameters(call.slice(call.indexOf("(") + 1, -1));
  known.set(call, read);
  return read;
}

function readParameters(text: string): Parameters {
  // Commas within braces stand between options.
  const parts = text.match(/(?:\{[^}]*\}|[^,])+/g) ?? [];
  const bags = parts.flatMap((part, at): Bag[] => {
    const names = /\{([^}]*)\}/.exec(part)?.[1];
    if (names === undefined) return [];
    return [{ at, names: names.split(",").map((name) => name.trim()), isOneOfSeveral: part.includes("|") }];
  });
  return { most: text.includes("...") ? Number.POSITIVE_INFINITY : parts.length, bags };
}

/** What a call says that is not understood; `undefined` when it is. */
function problemOf(call: string, { most, bags }: Parameters, given: ArrayLike<unknown>): string | undefined {
  let count = given.length;
  while (count > most && given[count - 1] === undefined) count--;
  if (count > most) return `${subjectOf(call)} takes ${argumentsOf(most)}, got ${count}; write ${writtenOf(call)}`;
  for (const { at, names, isOneOfSeveral } of bags) {
    const bag = given[at];
    if (bag === undefined) continue;
    if (!isBag(bag)) {
      if (isOneOfSeveral) continue;
      return `${subjectOf(call)} takes its options as an object, got ${describe(bag)}; write ${writtenOf(call)}`;
    }
    const unknown = Object.keys(bag).find((name) => !names.includes(name));
    if (unknown === undefined) continue;
    const known = suggestion(unknown, names, "options");
    return `${subjectOf(call)} has no option "${unknown}"; write ${writtenOf(call)} (${known})`;
  }
  return undefined;
}

/** `Jwt.verify` of `Jwt.verify(token)`. */
function subjectOf(call: string): string {
  return call.slice(0, call.indexOf("("));
}

/** `verify(token)` of `Jwt.verify(token)`: the user's object has a name of his own. */
function writtenOf(call: string): string {
  return call.startsWith("new ") ? call : call.slice(call.lastIndexOf(".", call.indexOf("(")) + 1);
}

function argumentsOf(count: number): string {
  return count === 0 ? "no argument" : count === 1 ? "one argument" : `${count} arguments`;
}

function isCallable(value: unknown): value is Callable {
  return typeof value === "function";
}
