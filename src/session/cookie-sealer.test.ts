import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { CookieSealer } from "./cookie-sealer.js";
import { SessionKeyRing } from "./key-ring.js";
import { SignedIds } from "./signed-id.js";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 1, 23, 59, 59);
const secret = (name: string) => Buffer.from(name.padEnd(32, "."));

function ring(...names: string[]) {
  return new SessionKeyRing(names.map(secret), 30 * DAY_MS);
}

const sealerOf = (names: string[], cookieName = "session_id") => new CookieSealer(ring(...names), cookieName);
const idsOf = (names: string[], cookieName = "session_id") => new SignedIds(ring(...names), cookieName);

/** The two kinds of cookie values, which must be equally hard to forge. */
const kinds = [
  {
    name: "a sealed value",
    make: (names: string[], cookieName: string, issuedAt: number) =>
      sealerOf(names, cookieName).seal('["data"]', issuedAt),
    open: (names: string[], cookieName: string, value: string, now: number) => {
      const opened = sealerOf(names, cookieName).open(value, now);
      return typeof opened === "string" ? opened : opened.text;
    },
    content: '["data"]',
  },
  {
    name: "a signed id",
    make: (names: string[], cookieName: string, issuedAt: number) =>
      idsOf(names, cookieName).sign("A".repeat(43), issuedAt),
    open: (names: string[], cookieName: string, value: string, now: number) => {
      const opened = idsOf(names, cookieName).open(value, now);
      return typeof opened === "string" ? opened : opened.id;
    },
    content: "A".repeat(43),
  },
];

describe.each(kinds)("$name", ({ make, open, content }) => {
  const value = make(["one"], "session_id", NOW);
  const read = (text: string, now = NOW) => open(["one"], "session_id", text, now);

  it("opens to what was put in, and only with its secret and under its cookie name", () => {
    expect(read(value)).toBe(content);
    expect(open(["two"], "session_id", value, NOW)).toBe("signature");
    expect(open(["one"], "session_idx", value, NOW)).toBe("signature");
  });

  it("opens with a former secret after a rotation, and not when that is dropped", () => {
    expect(open(["two", "one"], "session_id", value, NOW)).toBe(content);
    expect(open(["two"], "session_id", value, NOW)).toBe("signature");
    expect(make(["two", "one"], "session_id", NOW)).not.toBe(value);
    expect(open(["two"], "session_id", make(["two", "one"], "session_id", NOW), NOW)).toBe(content);
  });

  it("is refused with any bit flipped", () => {
    const bytes = Buffer.from(value, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(read(changed.toString("base64url"))).toMatch(/^(malformed|signature|expired)$/);
    }
  });

  it("is refused when cut or made longer anywhere", () => {
    for (let end = 0; end < value.length; end++) {
      expect(read(value.slice(0, end))).toMatch(/^(malformed|signature)$/);
      expect(read(value.slice(end + 1))).toMatch(/^(malformed|signature|expired)$/);
    }
    for (const more of ["A", "AA", "AAA", "AAAA", "=", "==", " ", ".", "\0"]) {
      expect(read(value + more)).toMatch(/^(malformed|signature)$/);
    }
  });

  it("is refused in every other spelling of the same bytes", () => {
    const standard = value.replaceAll("-", "+").replaceAll("_", "/");
    if (standard !== value) expect(read(standard)).toBe("malformed");
    expect(read(`${value.slice(0, 10)}\n${value.slice(10)}`)).toBe("malformed");
    expect(read(`${value.slice(0, 10)}!${value.slice(10)}`)).toBe("malformed");
    expect(read(`"${value}"`)).toBe("malformed");
  });

  it("is refused with any other character at any place", () => {
    const letters = fc.constantFrom(..."ABCXYZabcxyz0189-_+/=.~ é");
    fc.assert(
      fc.property(fc.nat(value.length - 1), letters, (at, letter) => {
        fc.pre(value[at] !== letter);
        expect(read(value.slice(0, at) + letter + value.slice(at + 1))).not.toBe(content);
      }),
      runs(2000),
    );
  });

  it("is refused when it is too old or from the future", () => {
    expect(read(value, NOW + 30 * DAY_MS - 1)).toBe(content);
    expect(read(value, NOW + 30 * DAY_MS)).toBe("expired");
    expect(read(value, NOW - 60_000)).toBe(content);
    expect(read(value, NOW - 60_001)).toBe("malformed");
  });

  it("is refused when it is text of any kind", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: "binary" })), (text) => {
        expect(read(text)).toMatch(/^(malformed|signature|expired)$/);
      }),
    );
  });
});

describe.each([
  ["CookieSealer", sealerOf(["one"]), sealerOf(["one"]).seal('["data"]', NOW)],
  ["SignedIds", idsOf(["one"]), idsOf(["one"]).sign("A".repeat(43), NOW)],
])("%s", (_, opener, value) => {
  it("opens nothing by what the value before has left behind", () => {
    const anyUnit = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));
    const place = fc.oneof(fc.nat(value.length - 1), fc.constantFrom(value.length - 1, value.length - 2));
    fc.assert(
      fc.property(place, fc.oneof(anyUnit, fc.string({ unit: "binary" })), (at, piece) => {
        const forged = value.slice(0, at) + piece + value.slice(at + piece.length);
        fc.pre(forged !== value);
        expect(opener.open(value, NOW)).toBeTypeOf("object");
        expect(opener.open(forged, NOW)).toBeTypeOf("string");
      }),
      runs(2000),
    );
  });
});

describe("CookieSealer", () => {
  it("brings back any text, at any day, in the length that it foretold", () => {
    const sealer = sealerOf(["one"]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.nat(20), (text, day) => {
        const at = NOW + day * DAY_MS;
        const value = sealer.seal(text, at);
        expect(value.length).toBe(CookieSealer.sealedLength(Buffer.byteLength(text)));
        expect(value).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(sealer.open(value, NOW + 20 * DAY_MS)).toEqual({ text, issuedAt: at, value });
      }),
    );
  });

  it("seals text that no cookie could hold, and goes on sealing and opening others", () => {
    const sealer = sealerOf(["one"]);
    const small = sealer.seal("small", NOW);
    const large = sealer.seal("x".repeat(10_000), NOW);
    expect(large.length).toBe(CookieSealer.sealedLength(10_000));
    expect(sealer.open(large, NOW)).toBe("malformed");
    expect(sealer.open(small, NOW)).toMatchObject({ text: "small" });
    expect(sealer.open(sealer.seal("other", NOW), NOW)).toMatchObject({ text: "other" });
  });

  it("never seals the same text to the same value", () => {
    const sealer = sealerOf(["one"]);
    const values = new Set(Array.from({ length: 2000 }, () => sealer.seal("same", NOW)));
    expect(values.size).toBe(2000);
  });

  it("uses another key each day", () => {
    const { current } = ring("one");
    const keys = [NOW, NOW + 1000, NOW + DAY_MS, NOW].map((at) => current.sealingAt(at).export().toString("hex"));
    expect(keys[0]).not.toBe(keys[2]);
    expect(keys[1]).toBe(keys[2]);
    expect(keys[3]).toBe(keys[0]);
  });

  it("does not open signed ids, nor the other way round", () => {
    expect(idsOf(["one"]).open(sealerOf(["one"]).seal("x".repeat(36), NOW), NOW)).toBe("malformed");
    expect(sealerOf(["one"]).open(idsOf(["one"]).sign("A".repeat(43), NOW), NOW)).toBe("malformed");
  });
});

describe("SignedIds", () => {
  it("sign ids of their own kind only", () => {
    for (const id of ["", "A", "A".repeat(42), `${"A".repeat(42)}\xe9`]) {
      expect(() => idsOf(["one"]).sign(id, NOW)).toThrow("not a session id");
    }
  });

  it("makes ids of 256 random bits, and other names for them in stores", () => {
    const ids = Array.from({ length: 1000 }, () => SignedIds.create());
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) {
      expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(SignedIds.storeIdOf(id)).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(SignedIds.storeIdOf(id)).not.toBe(id);
    }
  });
});
