import { describe, expect, it } from "vitest";
import { membersOf, SessionValues } from "./values.js";

describe("SessionValues", () => {
  it("writes the text that JSON.parse reads back, also of keys that JavaScript treats specially", () => {
    const record: unknown = JSON.parse('{"b":[1,{"c":null}],"1":"one","__proto__":{"x":1},"q\\"":"\\u2028"}');
    const values = new SessionValues(membersOf(Object(record)));
    values.set("set", "é", () => {});
    values.delete("b");
    expect(JSON.parse(values.toJsonText())).toStrictEqual(values.toRecord());
    expect(Object.keys(values.toRecord())).toEqual(["1", "__proto__", 'q"', "set"]);
    expect(Object.getPrototypeOf(values.toRecord())).toBe(Object.prototype);
  });

  it("leaves what requests share as it was", () => {
    const shared = membersOf({ a: 1, b: { c: 2 } });
    const one = new SessionValues(shared);
    one.set("a", 5, () => {});
    expect(one.toJsonText()).toBe('{"a":5,"b":{"c":2}}');
    const other = new SessionValues(shared);
    expect(other.toJsonText()).toBe('{"a":1,"b":{"c":2}}');
    expect(Object.isFrozen(other.get("b"))).toBe(true);
  });
});
