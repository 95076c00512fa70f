import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { CompactSign, compactVerify } from "jose";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { ALGORITHM_NAMES, ALGORITHMS, type AlgorithmName } from "./algorithms.js";
import { signCompact, verifyCompact } from "./index.js";

function keyPair(name: AlgorithmName) {
  const algorithm = ALGORITHMS[name];
  switch (algorithm.kind) {
    case "hmac": {
      const secret = randomBytes(algorithm.keyBytes);
      return { privateKey: secret, publicKey: secret };
    }
    case "rsa":
      return pem(generateKeyPairSync("rsa", { modulusLength: 2048 }));
    case "ecdsa":
      return pem(generateKeyPairSync("ec", { namedCurve: algorithm.namedCurve }));
    case "eddsa":
      return pem(generateKeyPairSync("ed25519"));
  }
}

function pem({ privateKey, publicKey }: ReturnType<typeof generateKeyPairSync>) {
  return {
    privateKey: createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" })),
    publicKey: createPublicKey(publicKey.export({ format: "pem", type: "spki" })),
  };
}

const headers = fc.record(
  { kid: fc.string(), typ: fc.string(), cty: fc.string(), "x-other": fc.jsonValue() },
  { requiredKeys: [] },
);

describe.each(ALGORITHM_NAMES)("%s against jose", (alg) => {
  const { privateKey, publicKey } = keyPair(alg);
  const often = runs(alg.startsWith("HS") ? 60 : 15);

  it("makes tokens that jose accepts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), headers, async (payload, parameters) => {
        const token = signCompact(payload, privateKey, { ...parameters, alg });
        const result = await compactVerify(token, publicKey, { algorithms: [alg] });
        expect(Buffer.from(result.payload)).toEqual(Buffer.from(payload));
        expect(result.protectedHeader).toEqual(JSON.parse(JSON.stringify({ ...parameters, alg })));
      }),
      often,
    );
  });

  it("accepts tokens that jose makes, and no tampered ones", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), headers, fc.nat(), async (payload, parameters, position) => {
        const token = await new CompactSign(payload).setProtectedHeader({ ...parameters, alg }).sign(privateKey);
        const result = verifyCompact(token, publicKey, { algorithms: [alg] });
        expect(Buffer.from(result.payload)).toEqual(Buffer.from(payload));
        expect(result.header).toEqual(JSON.parse(JSON.stringify({ ...parameters, alg })));
        const at = position % token.length;
        const other = token[at] === "A" ? "B" : "A";
        const tampered = token.slice(0, at) + other + token.slice(at + 1);
        expect(() => verifyCompact(tampered, publicKey, { algorithms: [alg] })).toThrow();
      }),
      often,
    );
  });
});

describe("Ed448", () => {
  it("signs and verifies as EdDSA", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed448");
    const token = signCompact(Buffer.from("x"), privateKey, { alg: "EdDSA" });
    expect(Buffer.from(token.split(".")[2] ?? "", "base64url")).toHaveLength(114);
    expect(verifyCompact(token, publicKey, { algorithms: ["EdDSA"] }).payload).toEqual(Uint8Array.from([0x78]));
  });
});
