import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, it } from "vitest";

const sourceFolder = fileURLToPath(new URL("../src", import.meta.url));

/** Members that no source reads by name, and what reads them. */
const READ_ELSEWHERE: Readonly<Record<string, string>> = {
  "AbortWatch.handleEvent": "an AbortSignal calls it",
  "DecodedToken.isVerified": "users do, of what jwt.decode() gives",
  "ProblemDetails.detail": "JSON.stringify writes it",
  "ProblemDetails.title": "JSON.stringify writes it",
  "SessionCookieView.expires": "handlers written for express-session do",
  "SessionCookieView.originalMaxAge": "handlers written for express-session do",
};

/** What one file declares, exports and reads. */
interface Names {
  /** Members of its classes and interfaces, as `Class.member`. */
  readonly members: readonly string[];
  /** Names that it exports in lists: an entry of the package exports nothing else. */
  readonly exported: readonly string[];
  /** Names of which a member is read: behind a dot, in a pattern, or as text. */
  readonly read: readonly string[];
}

function namesOf(path: string, text: string): Names {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const members: string[] = [];
  const exported: string[] = [];
  const read: string[] = [];
  const written = new Set<unknown>();
  const declare = (owner: string, elements: readonly object[]) => {
    for (const element of elements) {
      // Not [kSymbol]: no two of those share a name, and the compiler sees them.
      const name = "key" in element && !("computed" in element && element.computed) ? nameOf(element.key) : undefined;
      if (name !== undefined && name !== "constructor") members.push(`${owner}.${name}`);
    }
  };
  new Visitor({
    ClassDeclaration: ({ id, body }) => declare(id?.name ?? "", body.body),
    TSInterfaceDeclaration: ({ id, body }) => declare(id.name, body.body),
    ExportSpecifier: (node) => exported.push(nameOf(node.exported) ?? ""),
    AssignmentExpression: (node) => {
      if (node.operator === "=") written.add(node.left);
    },
    MemberExpression: (node) => {
      if (!node.computed && !written.has(node)) read.push(nameOf(node.property) ?? "");
    },
    ObjectPattern: (node) => {
      for (const one of node.properties) if (one.type === "Property") read.push(nameOf(one.key) ?? "");
    },
    Literal: (node) => {
      if (typeof node.value === "string") read.push(node.value);
    },
  }).visit(program);
  return { members, exported, read };
}

/** The name of a key; none of a private or computed one. */
function nameOf(key: unknown): string | undefined {
  if (typeof key !== "object" || key === null || !("type" in key)) return undefined;
  return key.type === "Identifier" && "name" in key ? String(key.name) : undefined;
}

function deadMembers(files: ReadonlyMap<string, string>, entries: readonly string[]): string[] {
  const names = new Map([...files].map(([path, text]) => [path, namesOf(path, text)]));
  const exported = new Set(entries.flatMap((entry) => names.get(entry)?.exported ?? []));
  const read = new Set([...names.values()].flatMap((file) => file.read));
  return [...names.values()]
    .flatMap(({ members }) => members)
    .filter((member) => {
      const [owner = "", name = ""] = member.split(".");
      return !exported.has(owner) && !read.has(name);
    });
}

const sources = new Map(
  readdirSync(sourceFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !/\.(?:test|fake)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [relative(sourceFolder, file).split(sep).join("/"), readFileSync(file, "utf8")]),
);

describe("the members of classes and interfaces that the package does not export", () => {
  it.each([
    ["interface A { a: 1 } const a: A = { a: 1 };", ["A.a"]],
    ["interface A { a: 1 } let a: A; a.a = 1;", ["A.a"]],
    ["class A { get a() { return 1; } b() { this.a; } }", ["A.b"]],
    ["interface A { a: 1; b: 1; c: 1 } const f = ({ a }: A, x: A) => x.b + x['c'];", []],
    ["export { A }; interface A { a: 1 }", []],
  ])("are looked through: %s", (text, dead) => {
    expect(deadMembers(new Map([["index.ts", text]]), ["index.ts"])).toEqual(dead);
  });

  it("are all read by some source", () => {
    const entries = [...sources.keys()].filter((path) => /(^|\/)index\.ts$/.test(path));
    expect(entries.length).toBeGreaterThan(5);
    const dead = deadMembers(sources, entries);
    expect(dead.sort()).toEqual(Object.keys(READ_ELSEWHERE).sort());
  });
});
