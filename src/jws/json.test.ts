import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { deepFreeze } from "../core/json.js";
import { parseJsonObject } from "./json.js";

const parse = (text: string) => parseJsonObject(Buffer.from(text));

describe("parseJsonObject", () => {
  it("parses every object that JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      runs(1000),
    );
  });

  it("refuses every object into which a duplicate was put, at any depth and however it is written", () => {
    const name = fc.string({ unit: fc.constantFrom(...'ab:"\\{},[ é'), maxLength: 5 });
    const escaped = (text: string) =>
      `"${[...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;
    fc.assert(
      fc.property(
        name,
        fc.jsonValue(),
        fc.jsonValue(),
        fc.boolean(),
        fc.boolean(),
        (key, one, two, isEscaped, isDeep) => {
          const again = isEscaped ? escaped(key) : JSON.stringify(key);
          const object = `{${JSON.stringify(key)}:${JSON.stringify(one)}, ${again} :${JSON.stringify(two)}}`;
          const text = isDeep ? `{"x":[0,{"y":${object}}]}` : object;
          JSON.parse(text);
          expect(parse(text)).toBeUndefined();
        },
      ),
      runs(1000),
    );
  });

  it.each([
    ["a duplicate written with an escape", '{"a":1,"\\u0061":2}'],
    ["a duplicate __proto__", '{"__proto__":1,"__proto__":2}'],
    ["an array", '[{"a":1}]'],
    ["null", "null"],
    ["a number", "1"],
    ["a string", '"a"'],
    ["nothing", ""],
    ["two objects", "{}{}"],
    ["a trailing comma", '{"a":1,}'],
    ["a comment", '{"a":1}//'],
    ["a byte order mark", '\ufeff{"a":1}'],
    ["NaN", '{"a":NaN}'],
  ])("refuses %s", (_, text) => {
    expect(parse(text)).toBeUndefined();
  });

  it.each([
    ["an overlong encoding", [0x7b, 0x22, 0xc1, 0xa1, 0x22, 0x3a, 0x31, 0x7d]],
    ["half of a surrogate pair", [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]],
    ["Latin-1", [0x7b, 0x22, 0xe9, 0x22, 0x3a, 0x31, 0x7d]],
    ["UTF-16", [...Buffer.from('{"a":1}', "utf16le")]],
  ])("refuses %s", (_, bytes) => {
    expect(parseJsonObject(Uint8Array.from(bytes))).toBeUndefined();
  });

  it("keeps a single __proto__ as a member and changes no prototype", () => {
    const value = parse('{"__proto__":{"isAdmin":true}}');
    expect(value && Object.hasOwn(value, "__proto__")).toBe(true);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it("refuses nesting that would exhaust the stack", () => {
    expect(parse(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`)).toBeUndefined();
    expect(parse(`${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`)).toBeUndefined();
    expect(parse(`{"a":${"[".repeat(200)}${"]".repeat(200)}}`)).toBeDefined();
  });
});

describe("deepFreeze", () => {
  it("freezes every object in a value", () => {
    const value = deepFreeze({ a: [{ b: 1 }] });
    expect(Object.isFrozen(value) && Object.isFrozen(value.a) && Object.isFrozen(value.a[0])).toBe(true);
  });
});
