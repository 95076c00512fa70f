import { describe, expect, it } from "vitest";
import fc from "../../test/fast-check.js";
import { copyAsJson } from "./json.js";

class Cart {
  readonly items = 1;
}

describe("copyAsJson", () => {
  it("makes what JSON.parse(JSON.stringify(value)) makes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(value));
        expect(copyAsJson(value, "value")).toStrictEqual(expected);
      }),
    );
  });

  it("freezes every level and shares nothing with what was given", () => {
    const given = { list: [{ deep: [1] }] };
    const copy = copyAsJson(given, "value");
    given.list.push({ deep: [2] });
    expect(copy).toEqual({ list: [{ deep: [1] }] });
    const check = (value: unknown): void => {
      expect(Object.isFrozen(value)).toBe(true);
      if (typeof value === "object" && value !== null) Object.values(value).forEach(check);
    };
    check(copy);
  });

  const cycle: unknown[] = [];
  cycle.push({ cycle });

  it.each<[string, unknown, RegExp]>([
    ["a function", () => 1, /is a function/],
    ["undefined", undefined, /is undefined/],
    ["a symbol", Symbol("s"), /is a symbol/],
    ["a bigint", 1n, /is a bigint/],
    ["NaN", Number.NaN, /is NaN/],
    ["Infinity", Number.POSITIVE_INFINITY, /is Infinity/],
    ["a cycle", cycle, /contains itself/],
    ["a Map", new Map(), /is an instance of Map/],
    ["bytes", new Uint8Array(2), /is an instance of Uint8Array/],
    ["a Date", new Date(0), /is a Date.*toISOString/],
    ["an instance of a class", new Cart(), /is an instance of Cart/],
    ["a symbol key", { [Symbol("s")]: 1 }, /symbol as a key/],
    ["a hole", new Array(1), /\[0\] is undefined/],
    ["a nested value", { a: { b: [1, undefined] } }, /^value\.a\.b\[1\] is undefined/],
    ["toJSON", { toJSON: () => 1 }, /value\.toJSON is a function/],
    ["endless nesting", Array.from({ length: 5000 }).reduce((inner) => [inner], 0), /nested over/],
  ])("refuses %s and says where it is", (_, value, message) => {
    expect(() => copyAsJson(value, "value")).toThrow(TypeError);
    expect(() => copyAsJson(value, "value")).toThrow(message);
  });

  it("keeps __proto__ as a member and not as a prototype", () => {
    const given: unknown = JSON.parse('{"__proto__":{"isAdmin":true},"constructor":1}');
    const copy = copyAsJson(given, "value");
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"isAdmin":true},"constructor":1}');
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
  });

  it("allows the same object twice when it is no cycle", () => {
    const shared = { a: 1 };
    expect(copyAsJson([shared, shared], "value")).toEqual([{ a: 1 }, { a: 1 }]);
  });
});
