import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ALGORITHMS } from "./algorithms.js";
import { parseHeader } from "./header.js";
import { prepareKey } from "./keys.js";
import { usualHeaderSegments } from "./usual-headers.js";
import { Verifier } from "./verifier.js";

const secret = Buffer.alloc(32, 1);
const jwk = { kty: "oct", k: secret.toString("base64url"), kid: "k1" };
const encode = (text: string) => Buffer.from(text).toString("base64url");

function signed(segment: string, key: Uint8Array = secret): string {
  const input = `${segment}.${encode("{}")}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

const forged = (segment: string) => signed(segment, Buffer.alloc(32, 2));

function make(): Verifier {
  return new Verifier([prepareKey(jwk, ALGORITHMS.HS256)]).prepareUsualHeaders();
}

/** How many headers are parsed while something runs. */
function parsed(run: () => void): number {
  const parse = vi.spyOn(JSON, "parse").mockClear();
  run();
  return parse.mock.calls.length;
}

afterEach(() => vi.restoreAllMocks());

describe("usualHeaderSegments", () => {
  it("has every order of alg, typ and kid, each once", () => {
    const texts = usualHeaderSegments("HS256", "k1").map((segment) => Buffer.from(segment, "base64url").toString());
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts).toEqual(
      expect.arrayContaining([
        '{"alg":"HS256"}',
        '{"alg":"HS256","typ":"JWT"}',
        '{"typ":"JWT","alg":"HS256"}',
        '{"alg":"HS256","kid":"k1"}',
        '{"alg":"HS256","typ":"JWT","kid":"k1"}',
        '{"alg":"HS256","kid":"k1","typ":"at+jwt"}',
        '{"typ":"at+jwt","kid":"k1","alg":"HS256"}',
      ]),
    );
    expect(texts).toHaveLength(5 + 14);
  });

  it("leaves kid out for a key without one", () => {
    expect(usualHeaderSegments("ES256", undefined)).toHaveLength(5);
  });
});

describe("Verifier", () => {
  it("parses no usual header, right or forged", () => {
    const verifier = make();
    for (const segment of usualHeaderSegments("HS256", "k1")) {
      expect(parsed(() => expect(verifier.verify(forged(segment))).toBe("signature"))).toBe(0);
      expect(parsed(() => expect(verifier.verify(signed(segment))).toMatchObject({ payload: expect.anything() }))).toBe(
        0,
      );
      const result = verifier.verify(signed(segment));
      expect(typeof result === "string" ? result : result.header).toEqual(parseHeader(segment));
    }
  });

  it("remembers another header under a right signature only", () => {
    const verifier = make();
    const segment = encode('{"alg":"HS256","x":1}');
    const run = (token: string) => parsed(() => verifier.verify(token));
    expect([run(forged(segment)), run(forged(segment)), run(signed(segment))]).not.toContain(0);
    vi.restoreAllMocks();
    expect(run(forged(segment))).toBe(0);
  });

  it("answers with and without prepared headers alike", () => {
    const plain = new Verifier([prepareKey(jwk, ALGORITHMS.HS256)]);
    const headers = [
      ...usualHeaderSegments("HS256", "k1"),
      ...usualHeaderSegments("HS256", "k2"),
      ...usualHeaderSegments("HS512", "k1"),
      ...[
        '{"alg":"none"}',
        '{"alg":"HS256","crit":["x"]}',
        '{"alg":"HS256","typ":1}',
        '{"typ":"JWT","alg":"HS256"} ',
      ].map(encode),
    ];
    for (const segment of headers.flatMap((one) => [one, `${one}=`, one.slice(0, -1), ` ${one}`])) {
      for (const token of [signed(segment), forged(segment)]) expect(make().verify(token)).toEqual(plain.verify(token));
    }
  });

  it("accepts no header of a key whose kid is another's", () => {
    const other = { ...jwk, k: Buffer.alloc(32, 2).toString("base64url"), kid: "k2" };
    const verifier = new Verifier([jwk, other].map((key) => prepareKey(key, ALGORITHMS.HS256))).prepareUsualHeaders();
    expect(verifier.verify(forged(encode('{"alg":"HS256","kid":"k1"}')))).toBe("signature");
    expect(verifier.verify(forged(encode('{"alg":"HS256","kid":"k2"}')))).toMatchObject({ header: { kid: "k2" } });
    expect(verifier.verify(forged(encode('{"alg":"HS256"}')))).toMatchObject({ header: { alg: "HS256" } });
  });
});
