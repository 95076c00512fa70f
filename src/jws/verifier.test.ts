import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ALGORITHMS } from "./algorithms.js";
import { prepareKey } from "./keys.js";
import { JwsVerifier } from "./verifier.js";

const secret = Buffer.alloc(32, 1);
const jwk = { kty: "oct", k: secret.toString("base64url"), kid: "k1" };
const encode = (text: string) => Buffer.from(text).toString("base64url");

function signed(segment: string, key: Uint8Array = secret): string {
  const input = `${segment}.${encode("{}")}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

const forged = (segment: string) => signed(segment, Buffer.alloc(32, 2));

function make(): JwsVerifier {
  return new JwsVerifier([prepareKey(jwk, ALGORITHMS.HS256)]);
}

/** How many headers are parsed while something runs. */
function parsed(run: () => void): number {
  const parse = vi.spyOn(JSON, "parse").mockClear();
  run();
  return parse.mock.calls.length;
}

afterEach(() => vi.restoreAllMocks());

describe("Verifier", () => {
  it("remembers a header under a right signature only", () => {
    const verifier = make();
    const segment = encode('{"alg":"HS256","x":1}');
    const run = (token: string) => parsed(() => verifier.verify(token));
    expect([run(forged(segment)), run(forged(segment)), run(signed(segment))]).not.toContain(0);
    vi.restoreAllMocks();
    expect(run(forged(segment))).toBe(0);
  });

  it("answers alike, whatever header it has remembered", () => {
    const used = make();
    const headers = [
      '{"alg":"HS256"}',
      '{"alg":"HS256","typ":"JWT"}',
      '{"typ":"JWT","alg":"HS256"}',
      '{"typ":"at+jwt","kid":"k1","alg":"HS256"}',
      '{"alg":"HS256","kid":"k2"}',
      '{"alg":"HS512","kid":"k1"}',
      '{"alg":"none"}',
      '{"alg":"HS256","crit":["x"]}',
      '{"alg":"HS256","typ":1}',
      '{"typ":"JWT","alg":"HS256"} ',
    ].map(encode);
    for (const segment of headers.flatMap((one) => [one, `${one}=`, one.slice(0, -1), ` ${one}`])) {
      for (const token of [signed(segment), forged(segment), signed(segment)]) {
        expect(used.verify(token)).toEqual(make().verify(token));
      }
    }
  });

  it("accepts no header of a key whose kid is another's", () => {
    const other = { ...jwk, k: Buffer.alloc(32, 2).toString("base64url"), kid: "k2" };
    const verifier = new JwsVerifier([jwk, other].map((key) => prepareKey(key, ALGORITHMS.HS256)));
    expect(verifier.verify(forged(encode('{"alg":"HS256","kid":"k1"}')))).toBe("signature");
    expect(verifier.verify(forged(encode('{"alg":"HS256","kid":"k2"}')))).toMatchObject({ header: { kid: "k2" } });
    expect(verifier.verify(forged(encode('{"alg":"HS256"}')))).toMatchObject({ header: { alg: "HS256" } });
  });
});
