import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { findCookieValues, hasCookie } from "./cookies.js";

/** The plain reading of a Cookie header: split at ";" and look at each pair. */
function oracle(header: string, name: string): string[] {
  return header
    .split(";")
    .map((pair) => pair.replace(/^[ \t]+/, ""))
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1).trim())
    .map((value) => /^"(.*)"$/s.exec(value)?.[1] ?? value);
}

describe("findCookieValues", () => {
  it("agrees with splitting the whole header", () => {
    const piece = fc.constantFrom(
      "session_id",
      "session_id=",
      "=",
      ";",
      "; ",
      " ",
      "\t",
      "a",
      "x=1",
      "session_id=v",
      '"',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const header = pieces.join("");
        const expected = oracle(header, "session_id");
        expect(findCookieValues(header, "session_id", 1000)).toEqual(expected);
        expect(findCookieValues(header, "session_id", 2)).toEqual(expected.slice(0, 2));
        expect(hasCookie(header, "session_id")).toBe(expected.length > 0);
      }),
      runs(2000),
    );
  });

  it("finds no cookie whose name only ends or begins alike, and none inside a value", () => {
    expect(findCookieValues("xsession_id=1; session_idx=2; a=session_id=3", "session_id", 8)).toEqual([]);
  });

  it("gives all values of a name in order", () => {
    expect(findCookieValues("a=1; session_id=one; b=2; session_id=two", "session_id", 8)).toEqual(["one", "two"]);
  });

  it("reads values in quotes, and leaves half quotes alone", () => {
    const header = 'session_id="one"; session_id= "two" ;session_id="; session_id=""; session_id="three';
    expect(findCookieValues(header, "session_id", 8)).toEqual(["one", "two", '"', "", '"three']);
  });

  it("takes time in proportion to a hostile header", () => {
    const header = `${"session_id".repeat(3000)}=${" ".repeat(30_000)}session_id=x`;
    expect(findCookieValues(header.repeat(3), "session_id", 8)).toEqual([]);
  });
});
