import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { ALGORITHMS } from "./algorithms.js";
import { JwsError, signCompact, verifyCompact } from "./index.js";
import { parseJsonObject } from "./json.js";
import { prepareKey } from "./keys.js";
import { JwsVerifier } from "./verifier.js";

const secret = Buffer.alloc(32, 1);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicPem = rsa.publicKey.export({ format: "pem", type: "spki" }).toString();

const b64 = (value: string | Uint8Array) => Buffer.from(value).toString("base64url");
const mac = (input: string, key: string | Uint8Array = secret) =>
  createHmac("sha256", key).update(input).digest("base64url");
/** A token whose HMAC is right, with any header and payload text: what a careless issuer could make. */
function signedAs(header: string | Uint8Array, payload: string | Uint8Array = '{"sub":"u"}', key?: string): string {
  const input = `${b64(header)}.${b64(payload)}`;
  return `${input}.${mac(input, key)}`;
}
const good = signedAs('{"alg":"HS256"}');
const [head = "", body = "", tail = ""] = good.split(".");

function codeOf(token: string, key: Parameters<typeof verifyCompact>[1] = secret, algorithms = ["HS256"]): string {
  try {
    verifyCompact(token, key, { algorithms });
    return "accepted";
  } catch (error) {
    if (!(error instanceof JwsError)) throw error;
    return error.code;
  }
}

/** The same signature bytes, spelled with another last character. */
function respell(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
    const other = signature.slice(0, -1) + character;
    if (other !== signature && Buffer.from(other, "base64url").equals(bytes)) return other;
  }
  throw new Error("no other spelling");
}

describe("verifyCompact refuses forged tokens", () => {
  it("and accepts the honest one", () => {
    expect(codeOf(good)).toBe("accepted");
  });

  it.each([
    ["alg none without a signature", `${b64('{"alg":"none"}')}.${body}.`, "algorithm"],
    ["alg none with a right HMAC", signedAs('{"alg":"none"}'), "algorithm"],
    ["alg NONE", signedAs('{"alg":"NONE"}'), "algorithm"],
    ["alg in other letters", signedAs('{"alg":"hs256"}'), "algorithm"],
    ["another HMAC algorithm", signedAs('{"alg":"HS512"}'), "algorithm"],
    ["a prototype's name as alg", signedAs('{"alg":"constructor"}'), "algorithm"],
    ["no alg", signedAs("{}"), "malformed"],
    ["an alg that is a list", signedAs('{"alg":["HS256"]}'), "malformed"],
    ["alg twice", signedAs('{"alg":"none","alg":"HS256"}'), "malformed"],
    ["alg twice, once escaped", signedAs('{"\\u0061lg":"none","alg":"HS256"}'), "malformed"],
    ["__proto__ twice", signedAs('{"alg":"HS256","__proto__":1,"__proto__":2}'), "malformed"],
    ["an alg that only __proto__ has", signedAs('{"__proto__":{"alg":"HS256"}}'), "malformed"],
    ["crit", signedAs('{"alg":"HS256","crit":["exp"],"exp":1}'), "critical_header"],
    ["an empty crit", signedAs('{"alg":"HS256","crit":[]}'), "critical_header"],
    ["crit null", signedAs('{"alg":"HS256","crit":null}'), "critical_header"],
    ["b64 false", signedAs('{"alg":"HS256","b64":false,"crit":["b64"]}'), "critical_header"],
    ["b64 true", signedAs('{"alg":"HS256","b64":true}'), "critical_header"],
    [
      "an embedded jwk",
      signedAs('{"alg":"HS256","jwk":{"kty":"oct","k":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}}'),
      "embedded_key",
    ],
    ["jku", signedAs('{"alg":"HS256","jku":"https://evil.example/"}'), "embedded_key"],
    ["x5u", signedAs('{"alg":"HS256","x5u":"https://evil.example/"}'), "embedded_key"],
    ["x5c", signedAs('{"alg":"HS256","x5c":["MII"]}'), "embedded_key"],
    ["a kid that is a number", signedAs('{"alg":"HS256","kid":7}'), "malformed"],
    ["a kid that is null", signedAs('{"alg":"HS256","kid":null}'), "malformed"],
    ["a typ that is an object", signedAs('{"alg":"HS256","typ":{}}'), "malformed"],
    ["a header that is an array", signedAs('["HS256"]'), "malformed"],
    ["a header that is a string", signedAs('"HS256"'), "malformed"],
    ["a byte order mark", signedAs('\ufeff{"alg":"HS256"}'), "malformed"],
    ["invalid UTF-8 in the header", signedAs(Buffer.from('{"alg":"HS256","x":"\xff"}', "latin1")), "malformed"],
    ["an empty token", "", "malformed"],
    ["two dots only", "..", "malformed"],
    ["one part", head, "malformed"],
    ["two parts", `${head}.${body}`, "malformed"],
    ["four parts", `${good}.`, "malformed"],
    ["five parts (JWE)", `${good}.a.b`, "malformed"],
    ["100,000 dots", ".".repeat(100_000), "malformed"],
    ["a header and 100,000 dots", head + ".".repeat(100_000), "malformed"],
    ["no header", `.${body}.${tail}`, "malformed"],
    ["no signature", `${head}.${body}.`, "signature"],
    ["no payload (detached)", `${head}..${tail}`, "signature"],
    ["another payload", `${head}.${b64('{"sub":"admin"}')}.${tail}`, "signature"],
    ["the signature's bytes in another spelling", `${head}.${body}.${respell(tail)}`, "signature"],
    ["a padded signature", `${good}=`, "signature"],
    ["a padded header", `${head}=.${body}.${tail}`, "malformed"],
    ["white space before it", ` ${good}`, "malformed"],
    ["white space after it", `${good} `, "signature"],
    ["a line break after it", `${good}\n`, "signature"],
    ["white space in the payload", `${head}.${body.slice(0, 4)} ${body.slice(4)}.${tail}`, "signature"],
    [
      "a signature that is one byte short",
      `${head}.${body}.${b64(Buffer.from(tail, "base64url").subarray(1))}`,
      "signature",
    ],
    ["a signature of 1 MB", `${head}.${body}.${"A".repeat(1_000_000)}`, "signature"],
    ["a header of 1 MB", `${"A".repeat(1_000_000)}.${body}.${tail}`, "malformed"],
    [
      "a header nested 300,000 deep",
      `${b64(`{"alg":"HS256","x":${"[".repeat(300_000)}${"]".repeat(300_000)}}`)}.${body}.${tail}`,
      "malformed",
    ],
    [
      "Latin-1 look-alikes by low byte in the signature",
      `${head}.${body}.${String.fromCharCode(tail.charCodeAt(0) + 0x100)}${tail.slice(1)}`,
      "signature",
    ],
    [
      "look-alikes by low byte in the payload",
      `${head}.${String.fromCharCode(body.charCodeAt(0) + 0x100)}${body.slice(1)}.${tail}`,
      "signature",
    ],
  ])("%s", (_, token, code) => {
    expect(codeOf(token)).toBe(code);
  });

  it.each([0, 1, 7, 20, 41, 42])("characters past ASCII at %i of the signature, right after the honest token", (at) => {
    for (const character of ["\xe9", "\xff", "\u0141", "\u2028", "\ud83d\ude00", "\ud800"]) {
      const forged = tail.slice(0, at) + character + tail.slice(at + character.length);
      expect(codeOf(good)).toBe("accepted");
      expect(codeOf(`${head}.${body}.${forged}`)).toBe("signature");
    }
  });

  it("any token that differs from the one that was verified before", () => {
    const verify = new JwsVerifier([prepareKey(secret, ALGORITHMS.HS256)]);
    const anyUnit = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.oneof(anyUnit, fc.string({ unit: "binary" })), (at, piece) => {
        const forged = good.slice(0, at) + piece + good.slice(at + piece.length);
        fc.pre(forged !== good);
        expect(verify.verify(good)).toBeTypeOf("object");
        expect(verify.verify(forged)).toBeTypeOf("string");
      }),
      runs(2000),
    );
  });

  it.each(['"\\ud800"', '"x\\udfffy"', '["\\udc00\\ud800"]', '{"\\uD83D":1}', '"\\\\\\ud800"'])(
    "a payload or header with half of a surrogate pair: %s",
    (value) => {
      expect(parseJsonObject(Buffer.from(`{"a":${value}}`))).toBeUndefined();
      expect(codeOf(signedAs(`{"alg":"HS256","x":${value}}`))).toBe("malformed");
    },
  );

  it.each(['"\\ud83d\\ude00"', '"\\\\ud800"', '"\\\\\\ud83d\\ude00"', '"😀"'])("but no whole one: %s", (value) => {
    expect(parseJsonObject(Buffer.from(`{"a":${value}}`))).toBeDefined();
  });

  it("a payload whose right signature covers base64url that is not canonical", () => {
    for (const payload of ["eyJhIjoxfQ==", "eyJhIjoxfR", "eyJh IjoxfQ", "e"]) {
      const input = `${head}.${payload}`;
      expect(codeOf(`${input}.${mac(input)}`)).toBe("malformed");
    }
  });

  it("an RS256 key confused with an HMAC secret", () => {
    const token = signedAs('{"alg":"HS256"}', '{"sub":"admin"}', publicPem);
    expect(codeOf(token, publicPem, ["RS256"])).toBe("algorithm");
    expect(codeOf(token, publicPem, ["RS256", "HS256"])).toBe("algorithm");
    expect(codeOf(token, publicPem, ["HS256"])).toBe("unfit_key");
    expect(codeOf(token, Buffer.from(publicPem), ["HS256"])).toBe("unfit_key");
    expect(codeOf(token, createPublicKey(publicPem), ["HS256"])).toBe("unfit_key");
  });

  it("ECDSA signatures in DER, of zeros, and of another length", () => {
    const input = `${b64('{"alg":"ES256"}')}.${body}`;
    const code = (signature: Uint8Array) => codeOf(`${input}.${b64(signature)}`, ec.publicKey, ["ES256"]);
    const right = sign("sha256", Buffer.from(input), { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
    expect(code(right)).toBe("accepted");
    expect(code(sign("sha256", Buffer.from(input), ec.privateKey))).toBe("signature");
    expect(code(Buffer.alloc(64))).toBe("signature");
    expect(code(Buffer.alloc(64, 255))).toBe("signature");
    expect(code(Buffer.concat([right, Buffer.alloc(1)]))).toBe("signature");
    expect(code(Buffer.concat([right.subarray(0, 32), Buffer.alloc(1), right.subarray(32)]))).toBe("signature");
    expect(code(Buffer.alloc(0))).toBe("signature");
  });

  it("RSA signatures of another padding, of zeros, and of another length", () => {
    const input = `${b64('{"alg":"RS256"}')}.${body}`;
    const code = (signature: Uint8Array) => codeOf(`${input}.${b64(signature)}`, rsa.publicKey, ["RS256", "PS256"]);
    expect(code(sign("sha256", Buffer.from(input), rsa.privateKey))).toBe("accepted");
    expect(code(sign("sha256", Buffer.from(input), { key: rsa.privateKey, padding: 6, saltLength: 32 }))).toBe(
      "signature",
    );
    expect(code(Buffer.alloc(256))).toBe("signature");
    expect(code(Buffer.alloc(0))).toBe("signature");
    expect(code(Buffer.alloc(255, 1))).toBe("signature");
  });

  it("anything that is not text", () => {
    for (const value of [undefined, null, 1, {}, [good], Buffer.from(good)]) {
      expect(() => Reflect.apply(verifyCompact, undefined, [value, secret, { algorithms: ["HS256"] }])).toThrow(
        JwsError,
      );
    }
  });
});

describe("verifyCompact", () => {
  const first = { kty: "oct", kid: "first", k: b64(Buffer.alloc(32, 2)) };
  const second = { kty: "oct", kid: "second", k: b64(Buffer.alloc(32, 3)) };
  const tokenOf = (key: typeof first, kid?: string) => signCompact(Buffer.from("x"), key, { alg: "HS256", kid });

  it("chooses the key by kid, and does not try others then", () => {
    expect(codeOf(tokenOf(second, "second"), [first, second])).toBe("accepted");
    expect(codeOf(tokenOf(second, "first"), [first, second])).toBe("signature");
    expect(codeOf(tokenOf(second, "third"), [first, second])).toBe("unknown_key");
    expect(codeOf(tokenOf(second, "__proto__"), [first, second])).toBe("unknown_key");
  });

  it("tries keys in order for a token without kid, and keys without kid for any token", () => {
    expect(codeOf(tokenOf(second), [first, second])).toBe("accepted");
    expect(codeOf(tokenOf(second, "third"), [first, Buffer.from(second.k, "base64url")])).toBe("accepted");
    expect(codeOf(tokenOf(second), [first, secret])).toBe("signature");
  });

  it("uses each key only with the algorithm that it fits", () => {
    const rsaToken = signCompact(Buffer.from("x"), rsa.privateKey, { alg: "RS256" });
    const ecToken = signCompact(Buffer.from("x"), ec.privateKey, { alg: "ES256" });
    const keys = [rsa.publicKey, ec.publicKey];
    expect(codeOf(rsaToken, keys, ["RS256", "ES256"])).toBe("accepted");
    expect(codeOf(ecToken, keys, ["RS256", "ES256"])).toBe("accepted");
    expect(codeOf(ecToken, rsa.publicKey, ["RS256"])).toBe("algorithm");
  });

  it("gives header and payload, which do not share memory with anything", () => {
    const payload = Uint8Array.from([0, 255, 1]);
    const result = verifyCompact(signCompact(payload, secret, { alg: "HS256", cty: "x" }), secret, {
      algorithms: ["HS256"],
    });
    expect(result).toEqual({ header: { alg: "HS256", cty: "x" }, payload });
    expect(result.payload.buffer.byteLength).toBe(3);
    expect(Object.isFrozen(result.header)).toBe(true);
  });

  it("answers the same when a KeyObject is used again", () => {
    for (let round = 0; round < 3; round++) {
      expect(codeOf(tokenOf(first), rsa.publicKey, ["RS256"])).toBe("algorithm");
      expect(codeOf(signCompact(new Uint8Array(), rsa.privateKey, { alg: "RS256" }), rsa.publicKey, ["RS256"])).toBe(
        "accepted",
      );
    }
  });

  it.each([
    [undefined],
    [{}],
    [{ algorithms: [] }],
    [{ algorithms: "HS256" }],
    [{ algorithms: ["none"] }],
    [{ algorithms: [1] }],
  ])("refuses the options %j", (options) => {
    expect(() => Reflect.apply(verifyCompact, undefined, [good, secret, options])).toThrow(/"algorithms" must be/);
  });

  it("refuses an empty list of keys", () => {
    expect(codeOf(good, [])).toBe("unfit_key");
  });

  it("keeps working when many issuers use many headers", () => {
    for (let number = 0; number < 300; number++) {
      const token = signCompact(Buffer.from("x"), secret, { alg: "HS256", number });
      expect(verifyCompact(token, secret, { algorithms: ["HS256"] }).header).toEqual({ alg: "HS256", number });
    }
  });
});

describe("signCompact", () => {
  it.each<[string, unknown[], string]>([
    ["a payload that is text", ["x", secret, { alg: "HS256" }], "invalid_input"],
    ["no header", [Buffer.from("x"), secret, undefined], "invalid_input"],
    ["no alg", [Buffer.from("x"), secret, {}], "invalid_input"],
    ["alg none", [Buffer.from("x"), secret, { alg: "none" }], "algorithm"],
    ["crit", [Buffer.from("x"), secret, { alg: "HS256", crit: ["b64"] }], "critical_header"],
    ["b64", [Buffer.from("x"), secret, { alg: "HS256", b64: false }], "critical_header"],
    ["jwk", [Buffer.from("x"), secret, { alg: "HS256", jwk: {} }], "embedded_key"],
    ["a kid that is no string", [Buffer.from("x"), secret, { alg: "HS256", kid: 1 }], "invalid_input"],
    ["a public key", [Buffer.from("x"), rsa.publicKey, { alg: "RS256" }], "unfit_key"],
    ["a short secret", [Buffer.from("x"), "short", { alg: "HS256" }], "unfit_key"],
  ])("refuses %s", (_, input, code) => {
    expect(() => Reflect.apply(signCompact, undefined, input)).toThrow(expect.objectContaining({ code }));
  });
});
