import ipaddr from "ipaddr.js";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { addressText, isIpv4, parseAddress } from "./address.js";

const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(0xffff), fc.constantFrom(1, 0xffff));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });

/** Texts that look like addresses, right and wrong: groups and gaps in any order and number. */
const lookalike = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(":") },
      { weight: 6, arbitrary: group.map((value) => value.toString(16)) },
      { weight: 2, arbitrary: fc.constantFrom("::", "0", "00", "000a", "0000", "00001", "FFFF", "aBc", "12345") },
      { weight: 1, arbitrary: fc.constantFrom(".", "%", "g", " ", "-", "x", "1.2.3.4", "ffff:", "\n", "[") },
    ),
    { maxLength: 18 },
  )
  .map((parts) => parts.join(""));

/** An address in which parts are left out or said twice. */
const damaged = fc
  .tuple(groups, fc.nat(8), fc.nat(8), fc.constantFrom("::", ":", "", ":0:"), fc.boolean())
  .map(([values, from, to, filling, isUpper]) => {
    const words = values.map((value) => value.toString(16));
    const text = `${words.slice(0, from).join(":")}${filling}${words.slice(to).join(":")}`;
    return isUpper ? text.toUpperCase() : text;
  });

/** What ipaddr.js says, with the IPv4 address of form 3 written in hexadecimal: it reads that more generously. */
function slowText(text: string): string | undefined {
  if (!text.includes(":")) return ipaddr.IPv4.isValidFourPartDecimal(text) ? text : undefined;
  const plain = text.replace(/%.*$/s, "").replace(/(?<=:)[^:]*\.[^:]*$/, (tail) => {
    if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return "wrong";
    const [a = 0, b = 0, c = 0, d = 0] = tail.split(".").map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  if (!ipaddr.IPv6.isValid(plain)) return undefined;
  const address = ipaddr.IPv6.parse(plain);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

describe("parseAddress of IPv6", () => {
  it.each([
    ["::", [0, 0, 0, 0, 0, 0, 0, 0]],
    ["::1", [0, 0, 0, 0, 0, 0, 0, 1]],
    ["1::", [1, 0, 0, 0, 0, 0, 0, 0]],
    ["1:2:3:4:5:6:7::", [1, 2, 3, 4, 5, 6, 7, 0]],
    ["::2:3:4:5:6:7:8", [0, 2, 3, 4, 5, 6, 7, 8]],
    ["0001:00a:A:aF::FFFF", [1, 10, 10, 175, 0, 0, 0, 65535]],
    ["::1%lo", [0, 0, 0, 0, 0, 0, 0, 1]],
    ["64:ff9b::1.2.3.4", [100, 65435, 0, 0, 0, 0, 258, 772]],
    ["1:2:3:4:5:6:1.2.3.4", [1, 2, 3, 4, 5, 6, 258, 772]],
    // An IPv4-compatible address is none of IPv4 (RFC 4291 section 2.5.5.1).
    ["::1.2.3.4", [0, 0, 0, 0, 0, 0, 258, 772]],
    ["::ffff:1.2.3.4", [258, 772]],
  ])("reads %s", (text, expected) => {
    expect(parseAddress(text)).toEqual(expected);
  });

  it.each([
    "",
    ":",
    ":::",
    "::1::",
    "1",
    "1:",
    ":1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:",
    ":1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "1::2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::8",
    "::12345",
    "::g",
    "::0x1.2.3.4",
    "::ffff:010.0.0.1",
    "::ffff:1.2.3",
    "1.2.3.4::",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1 ",
    "\u0130::",
  ])("does not read %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe("addressText", () => {
  it("writes as RFC 5952 asks, as ipaddr.js does", () => {
    fc.assert(
      fc.property(groups, (values) => {
        expect(addressText(values)).toBe(new ipaddr.IPv6(values).toRFC5952String());
      }),
      runs(10_000),
    );
  });
});

describe("isIpv4", () => {
  const number = fc.oneof(fc.nat(300), fc.constantFrom("", "00", "01", "0x1", "1e1", "-1", "256", " 1", "0"));
  const dotted = fc.array(number, { maxLength: 6 }).map((parts) => parts.join("."));

  it("agrees with ipaddr.js", () => {
    fc.assert(
      fc.property(fc.oneof(dotted, fc.ipV4()), (text) => {
        expect(isIpv4(text), text).toBe(ipaddr.IPv4.isValidFourPartDecimal(text));
      }),
      runs(10_000),
    );
  });
});

describe("parseAddress", () => {
  it("says of every text what ipaddr.js alone says", () => {
    const mapped = fc.tuple(fc.constantFrom("::ffff:", "::FFFF:", "::ffff:0:", "0::ffff:", "::"), fc.ipV4());
    const texts = fc.oneof(
      lookalike,
      damaged,
      fc.ipV4(),
      fc.ipV6(),
      fc.tuple(fc.ipV6(), fc.constantFrom("%eth0", "%", "%%")).map((parts) => parts.join("")),
      mapped.map((parts) => parts.join("")),
      groups.map(
        (values) =>
          `::ffff:${values
            .slice(6)
            .map((value) => value.toString(16))
            .join(":")}`,
      ),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const address = parseAddress(text);
        expect(address && addressText(address), text).toBe(slowText(text));
      }),
      runs(20_000),
    );
  });
});
