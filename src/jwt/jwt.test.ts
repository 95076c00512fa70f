import { createHmac, generateKeyPairSync } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import type { Clock } from "../core/clock.js";
import { ConfigError } from "../core/errors.js";
import type { TokenRejection } from "../core/events.js";
import type { JwtOptions } from "./config.js";
import { TokenError } from "./errors.js";
import { Jwt } from "./jwt.js";

const secret = Buffer.alloc(32, 1);
const NOW = 1_700_000_000;

class TestClock implements Clock {
  constructor(public seconds = NOW) {}
  wallMs(): number {
    return this.seconds * 1000;
  }
  monotonicMs(): number {
    return this.seconds * 1000;
  }
}

function make(options: JwtOptions = {}, clock: Clock = new TestClock()): Jwt {
  return new Jwt({ ...(options.jwksUri === undefined ? { secret } : {}), ...options }, { clock });
}

/** A token with any payload text and a right signature. */
function signed(payload: string | Uint8Array, header = '{"alg":"HS256"}'): string {
  const input = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

function outcome(jwt: Jwt, token: string): TokenRejection | "accepted" {
  try {
    jwt.verify(token);
    return "accepted";
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return error.code;
  }
}

describe("Jwt.sign", () => {
  it("sets iat and exp, and keeps the claims as they are", () => {
    const claims = Object.freeze({ sub: "u1", roles: ["admin"] });
    const jwt = make({ expiration: 900 });
    expect(jwt.verify(jwt.sign(claims))).toEqual({ sub: "u1", roles: ["admin"], iat: NOW, exp: NOW + 900 });
  });

  it("writes the first issuer and audience, unless the claims have them", () => {
    const jwt = make({ issuer: ["a", "b"], audience: ["x", "y"] });
    expect(jwt.verify(jwt.sign({}))).toMatchObject({ iss: "a", aud: "x" });
    expect(jwt.verify(jwt.sign({ iss: "b", aud: ["z", "y"] }))).toMatchObject({ iss: "b", aud: ["z", "y"] });
  });

  it("lets the claims and the options give the times", () => {
    const jwt = make();
    expect(jwt.verify(jwt.sign({ iat: NOW - 10, exp: NOW + 1 }))).toMatchObject({ iat: NOW - 10, exp: NOW + 1 });
    expect(jwt.verify(jwt.sign({}, { expiration: 60 }))).toMatchObject({ exp: NOW + 60 });
    expect(jwt.verify(jwt.sign({ exp: undefined, sub: undefined }))).toEqual({ iat: NOW, exp: NOW + 3600 });
  });

  it("writes typ, and the kid of the first key", () => {
    const k = secret.toString("base64url");
    expect(make().decode(make().sign({}))?.header).toEqual({ alg: "HS256", typ: "JWT" });
    const jwt = make({ secret: [{ kty: "oct", k, kid: "k1" }, Buffer.alloc(32, 2)], typ: "at+jwt" });
    expect(jwt.decode(jwt.sign({}))?.header).toEqual({ alg: "HS256", typ: "at+jwt", kid: "k1" });
    expect(jwt.decode(jwt.sign({}, { header: { typ: "x", alg: "none", "x-y": 1 } }))?.header).toEqual({
      alg: "HS256",
      typ: "x",
      kid: "k1",
      "x-y": 1,
    });
  });

  it("adds a random jti when asked", () => {
    const jwt = make();
    const first = jwt.verify(jwt.sign({}, { jti: true })).jti;
    expect(first).toMatch(/^[0-9a-f-]{36}$/);
    expect(jwt.verify(jwt.sign({}, { jti: true })).jti).not.toBe(first);
    expect(jwt.verify(jwt.sign({ jti: "own" }, { jti: true })).jti).toBe("own");
  });

  it("refuses to sign without a key that can", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    for (const jwt of [
      make({ secret: publicKey, algorithm: "EdDSA" }),
      make({ jwksUri: "https://i.example/", algorithm: "RS256" }),
    ]) {
      expect(() => jwt.sign({})).toThrow(ConfigError);
      expect(() => jwt.sign({})).toThrow(expect.objectContaining({ code: "CELLO_CONFLICT" }));
    }
  });

  it.each([
    ["no claims", [undefined]],
    ["claims that are a list", [[]]],
    ["exp as text", [{ exp: "1700000000" }]],
    ["exp that is not finite", [{ exp: Number.POSITIVE_INFINITY }]],
    ["nbf that is not a number", [{ nbf: Number.NaN }]],
    ["sub as a number", [{ sub: 7 }]],
    ["aud with a number", [{ aud: ["a", 1] }]],
    ["half of a surrogate pair in sub", [{ sub: "\ud800" }]],
    ["half of a surrogate pair deep inside", [{ a: [{ "\udfff": 1 }] }]],
    ["half of a surrogate pair in the header", [{}, { header: { x: "\ud800" } }]],
    ["an expiration as text", [{}, { expiration: "15m" }]],
    ["crit in the header", [{}, { header: { crit: ["x"] } }]],
    ["a key in the header", [{}, { header: { jwk: {} } }]],
  ])("refuses %s", (_, input) => {
    const jwt = make();
    expect(() => Reflect.apply(jwt.sign, jwt, input)).toThrow(TypeError);
  });
});

describe("Jwt.verify", () => {
  const exp = NOW + 60;

  it.each<[string, string, TokenRejection | "accepted"]>([
    ["a good token", `{"exp":${exp}}`, "accepted"],
    ["an expired token", `{"exp":${NOW - 1}}`, "expired"],
    ["a token in the second of its exp", `{"exp":${NOW}}`, "expired"],
    ["a token in the second before its exp", `{"exp":${NOW + 1}}`, "accepted"],
    ["no exp", '{"sub":"u"}', "no_expiration"],
    ["exp as text", `{"exp":"${exp}"}`, "claims"],
    ["exp null", '{"exp":null}', "claims"],
    ["exp true", '{"exp":true}', "claims"],
    ["exp as a list", `{"exp":[${exp}]}`, "claims"],
    ["exp 1e400, which is Infinity in JavaScript", '{"exp":1e400}', "claims"],
    ["exp -1e400", '{"exp":-1e400}', "claims"],
    ["exp of the year 33658 in milliseconds", `{"exp":${exp}000}`, "accepted"],
    ["exp with a fraction", `{"exp":${NOW}.5}`, "accepted"],
    ["exp twice", `{"exp":${exp},"exp":${exp}}`, "malformed"],
    ["exp twice, once escaped", `{"\\u0065xp":1,"exp":${exp}}`, "malformed"],
    ["sub twice in an inner object", `{"exp":${exp},"act":{"sub":"a","sub":"b"}}`, "malformed"],
    ["__proto__ twice", `{"exp":${exp},"__proto__":1,"__proto__":1}`, "malformed"],
    ["an exp that only __proto__ has", `{"__proto__":{"exp":${exp}}}`, "no_expiration"],
    ["nbf in the future", `{"exp":${exp},"nbf":${NOW + 1}}`, "not_yet_valid"],
    ["nbf now", `{"exp":${exp},"nbf":${NOW}}`, "accepted"],
    ["nbf as text", `{"exp":${exp},"nbf":"0"}`, "claims"],
    ["nbf 1e400", `{"exp":${exp},"nbf":1e400}`, "claims"],
    ["iat of a clock that is 2 s ahead", `{"exp":${exp},"iat":${NOW + 2}}`, "accepted"],
    ["iat of a clock that is 5 s ahead", `{"exp":${exp},"iat":${NOW + 5}.9}`, "accepted"],
    ["iat in the future", `{"exp":${exp},"iat":${NOW + 6}}`, "issued_in_future"],
    ["iat now", `{"exp":${exp},"iat":${NOW}}`, "accepted"],
    ["iat as text", `{"exp":${exp},"iat":"0"}`, "claims"],
    ["sub as a number", `{"exp":${exp},"sub":7}`, "claims"],
    ["sub null", `{"exp":${exp},"sub":null}`, "claims"],
    ["jti as a number", `{"exp":${exp},"jti":7}`, "claims"],
    ["iss as a list", `{"exp":${exp},"iss":["a"]}`, "claims"],
    ["aud as an object", `{"exp":${exp},"aud":{}}`, "claims"],
    ["aud with a number", `{"exp":${exp},"aud":["a",1]}`, "claims"],
    ["a payload that is a list", "[]", "malformed"],
    ["a payload that is text", '"x"', "malformed"],
    ["a payload that is a number", "1", "malformed"],
    ["a payload that is null", "null", "malformed"],
    ["an empty payload", "", "malformed"],
    ["a payload that is not JSON", "hello", "malformed"],
    ["a byte order mark", `\ufeff{"exp":${exp}}`, "malformed"],
  ])("judges %s", (_, payload, expected) => {
    expect(outcome(make(), signed(payload))).toBe(expected);
  });

  it("refuses invalid UTF-8 in the claims", () => {
    expect(outcome(make(), signed(Buffer.from(`{"exp":${exp},"sub":"\xff"}`, "latin1")))).toBe("malformed");
  });

  it.each<[JwtOptions, string, TokenRejection | "accepted"]>([
    [{ clockTolerance: 5 }, `{"exp":${NOW - 4}}`, "accepted"],
    [{ clockTolerance: 5 }, `{"exp":${NOW - 5}}`, "expired"],
    [{ clockTolerance: 5 }, `{"exp":${exp},"nbf":${NOW + 5}}`, "accepted"],
    [{ clockTolerance: 5 }, `{"exp":${exp},"nbf":${NOW + 6}}`, "not_yet_valid"],
    [{ clockTolerance: 5 }, `{"exp":${exp},"iat":${NOW + 10}}`, "accepted"],
    [{ clockTolerance: 5 }, `{"exp":${exp},"iat":${NOW + 11}}`, "issued_in_future"],
    [{ requireExpiration: false }, "{}", "accepted"],
    [{ requireExpiration: false }, `{"exp":${NOW}}`, "expired"],
    [{ issuer: "a" }, `{"exp":${exp}}`, "issuer"],
    [{ issuer: "a" }, `{"exp":${exp},"iss":"A"}`, "issuer"],
    [{ issuer: ["a", "b"] }, `{"exp":${exp},"iss":"b"}`, "accepted"],
    [{ audience: "a" }, `{"exp":${exp}}`, "audience"],
    [{ audience: "a" }, `{"exp":${exp},"aud":[]}`, "audience"],
    [{ audience: "a" }, `{"exp":${exp},"aud":"aa"}`, "audience"],
    [{ audience: ["a", "b"] }, `{"exp":${exp},"aud":["x","b"]}`, "accepted"],
    [{ audience: ["a", "b"] }, `{"exp":${exp},"aud":"a"}`, "accepted"],
  ])("with %j judges %s", (options, payload, expected) => {
    expect(outcome(make(options), signed(payload))).toBe(expected);
  });

  it.each<[string, string | undefined, string, TokenRejection | "accepted"]>([
    ["no typ", undefined, '{"alg":"HS256"}', "accepted"],
    ["any typ", undefined, '{"alg":"HS256","typ":"x"}', "accepted"],
    ["the typ", "at+jwt", '{"alg":"HS256","typ":"at+jwt"}', "accepted"],
    ["the typ in other letters", "at+jwt", '{"alg":"HS256","typ":"AT+JWT"}', "accepted"],
    ["the typ as a full media type", "at+jwt", '{"alg":"HS256","typ":"application/at+jwt"}', "accepted"],
    ["another typ", "at+jwt", '{"alg":"HS256","typ":"JWT"}', "type"],
    ["a missing typ", "at+jwt", '{"alg":"HS256"}', "type"],
    ["crit", undefined, '{"alg":"HS256","crit":["x"]}', "critical_header"],
    ["jku", undefined, '{"alg":"HS256","jku":"https://evil.example"}', "embedded_key"],
    ["another alg", undefined, '{"alg":"HS384"}', "algorithm"],
  ])("judges a header with %s", (_, typ, header, expected) => {
    expect(outcome(make({ typ }), signed(`{"exp":${exp}}`, header))).toBe(expected);
  });

  it("refuses a token that is too long before it reads it", () => {
    const jwt = make({ maxTokenLength: 200 });
    expect(outcome(jwt, "x".repeat(200))).toBe("malformed");
    expect(outcome(jwt, "x".repeat(201))).toBe("too_long");
    expect(outcome(make(), `${"A".repeat(1_000_000)}.A.A`)).toBe("too_long");
  });

  it("refuses a wrong signature, an unknown kid, and what is no text", () => {
    const token = signed(`{"exp":${exp}}`);
    expect(outcome(make({ secret: Buffer.alloc(32, 9) }), token)).toBe("signature");
    const jwk = { kty: "oct", k: secret.toString("base64url"), kid: "k1" };
    expect(outcome(make({ secret: jwk }), signed(`{"exp":${exp}}`, '{"alg":"HS256","kid":"k2"}'))).toBe("unknown_key");
    const jwt = make();
    expect(() => Reflect.apply(jwt.verify, jwt, [undefined])).toThrow(TokenError);
  });

  it("verifies with every key of the list, and signs with the first", () => {
    const old = make({ secret: "o".repeat(32) }).sign({ sub: "u" });
    const jwt = make({ secret: ["n".repeat(32), "o".repeat(32)] });
    expect(outcome(jwt, old)).toBe("accepted");
    expect(outcome(make({ secret: "n".repeat(32) }), jwt.sign({}))).toBe("accepted");
  });

  it("gives claims that the caller may change, and new ones each time", () => {
    const jwt = make();
    const token = jwt.sign({ roles: ["a"] });
    const claims = jwt.verify(token);
    expect(Object.isFrozen(claims)).toBe(false);
    expect(jwt.verify(token)).not.toBe(claims);
  });

  it("says the reason to people without the token in it", () => {
    const token = signed(`{"exp":${NOW}}`);
    expect(() => make().verify(token)).toThrow("the token is refused: it has expired");
    expect(() => make().verify(token)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(token) }),
    );
  });

  it("types the claims", () => {
    const jwt = new Jwt<{ sub: string; roles: string[] }>({ secret }, { clock: new TestClock() });
    const token = jwt.sign({ sub: "u1", roles: ["a"], iss: "me" });
    const roles: string[] = jwt.verify(token).roles;
    expect(roles).toEqual(["a"]);
  });
});

describe("Jwt and jose", () => {
  const claims = fc.dictionary(
    fc.string().filter((name) => !["iss", "sub", "aud", "exp", "nbf", "iat", "jti"].includes(name)),
    fc.jsonValue(),
  );
  const clock: Clock = { wallMs: () => Date.now(), monotonicMs: () => 0 };
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });

  it("read each other's tokens to the same claims", async () => {
    const jwt = make({ secret: pair.privateKey, algorithm: "ES256", issuer: "i", audience: "a" }, clock);
    await fc.assert(
      fc.asyncProperty(claims, fc.string(), async (own, sub) => {
        const expected = JSON.parse(JSON.stringify({ ...own, sub }));
        const theirs = await jwtVerify(jwt.sign({ ...own, sub }), pair.publicKey, {
          issuer: "i",
          audience: "a",
          algorithms: ["ES256"],
        });
        expect(theirs.payload).toMatchObject(expected);
        const token = await new SignJWT({ ...own, sub })
          .setProtectedHeader({ alg: "ES256" })
          .setIssuedAt()
          .setExpirationTime("1h")
          .setIssuer("i")
          .setAudience("a")
          .sign(pair.privateKey);
        expect(jwt.verify(token)).toMatchObject(expected);
      }),
      runs(60),
    );
  });

  it("agree on the times", async () => {
    const offset = fc.option(fc.integer({ min: -4, max: 4 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(offset, offset, fc.integer({ min: 0, max: 2 }), async (expOffset, nbfOffset, clockTolerance) => {
        const payload = {
          ...(expOffset === undefined ? {} : { exp: NOW + expOffset }),
          ...(nbfOffset === undefined ? {} : { nbf: NOW + nbfOffset }),
        };
        const token = signed(JSON.stringify(payload));
        const theirs = await jwtVerify(token, secret, { clockTolerance, currentDate: new Date(NOW * 1000) }).then(
          () => true,
          () => false,
        );
        const ours = outcome(make({ requireExpiration: false, clockTolerance }), token) === "accepted";
        expect(ours).toBe(theirs);
      }),
      runs(200),
    );
  });
});

describe("Jwt.decode", () => {
  it("reads a token without verifying it, and says so", () => {
    const token = `${make().sign({ sub: "u" }).split(".").slice(0, 2).join(".")}.AAAA`;
    expect(make().decode(token)).toMatchObject({ claims: { sub: "u" }, header: { alg: "HS256" }, isVerified: false });
  });

  it.each(["", "a", "a.b", "a.b.c", "e30.e30", "e30.e30.a.b", "e30.W10.a", ".".repeat(100_000)])(
    "gives undefined for what is no token",
    (token) => {
      expect(make().decode(token)).toBeUndefined();
    },
  );
});

describe("Jwt.revoke", () => {
  it("refuses a token that was revoked by its claims or its id", () => {
    const jwt = make();
    const [one = "", two = "", three = ""] = ["1", "2", "3"].map((jti) => jwt.sign({ jti }));
    jwt.revoke(jwt.verify(one));
    jwt.revoke("2");
    expect([one, two, three].map((token) => outcome(jwt, token))).toEqual(["revoked", "revoked", "accepted"]);
  });

  it("needs a jti", () => {
    expect(() => make().revoke({ sub: "u" })).toThrow(/no jti/);
  });

  it("revokeAll refuses what was issued until now, and nothing that is signed after", () => {
    const clock = new TestClock();
    const jwt = make({}, clock);
    const old = jwt.sign({ sub: "u" });
    const other = jwt.sign({ sub: "v" });
    for (const seconds of [NOW, NOW + 0.25, NOW + 0.999, NOW + 1]) {
      clock.seconds = seconds;
      jwt.revokeAll("u");
      expect(outcome(jwt, old)).toBe("revoked");
      expect(outcome(jwt, other)).toBe("accepted");
    }
  });

  it("accepts a token that is signed after revokeAll within the same second", () => {
    for (const start of [NOW, NOW + 0.5]) {
      const clock = new TestClock(start);
      const jwt = make({}, clock);
      const old = jwt.sign({ sub: "u" });
      jwt.revokeAll("u");
      const fresh = jwt.sign({ sub: "u" });
      expect(outcome(jwt, old)).toBe("revoked");
      expect(outcome(jwt, fresh)).toBe("accepted");
      clock.seconds = start + 2;
      expect(outcome(jwt, fresh)).toBe("accepted");
      expect(Number.isInteger(jwt.verify(jwt.sign({ sub: "u" })).iat)).toBe(true);
      jwt.revokeAll("u");
      expect(outcome(jwt, fresh)).toBe("revoked");
    }
  });

  it("revokeAll refuses tokens of the subject without iat", () => {
    const jwt = make();
    jwt.revokeAll("u");
    expect(outcome(jwt, signed(`{"exp":${NOW + 60},"sub":"u"}`))).toBe("revoked");
  });
});
