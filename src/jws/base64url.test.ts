import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { decodeBase64url, encodeBase64url } from "./base64url.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** RFC 4648 section 5 written down bit by bit; `undefined` for what is not canonical. */
function slowDecode(text: string): number[] | undefined {
  let bits = "";
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) return undefined;
    bits += value.toString(2).padStart(6, "0");
  }
  const whole = bits.length - (bits.length % 8);
  const rest = bits.slice(whole);
  if (rest.length >= 6 || rest.includes("1")) return undefined;
  return (bits.slice(0, whole).match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2));
}

describe("base64url", () => {
  it("decodes what it encoded", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = encodeBase64url(bytes);
        expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
        expect(decodeBase64url(text)).toEqual(Buffer.from(bytes));
      }),
      runs(500),
    );
  });

  it("accepts exactly the canonical texts", () => {
    const anyText = fc.oneof(
      fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 12 }),
      fc.string({ unit: fc.constantFrom(..."AB-_+/= \n.\u0141\u00c1"), maxLength: 12 }),
      fc.string({ unit: "binary", maxLength: 12 }),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = slowDecode(text);
        expect(decodeBase64url(text)).toEqual(expected === undefined ? undefined : Buffer.from(expected));
      }),
      runs(3000),
    );
  });

  it.each([
    ["padding", "QQ=="],
    ["unused bits that are set", "QR"],
    ["a lone character", "Q"],
    ["the characters of plain base64", "+/+/"],
    ["white space", "Q Q"],
    ["a line break at the end", "QQ\n"],
    ["a character whose low byte is in the alphabet", "Q\u0141"],
  ])("refuses %s", (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });
});
