import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type JwsError, signCompact, verifyCompact } from "./index.js";

const PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/** RFC 7515 appendix A, public keys. */
const APPENDIX_A = [
  {
    section: "A.1",
    alg: "HS256",
    key: { kty: "oct", k: "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" },
    token: `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
  },
  {
    section: "A.2",
    alg: "RS256",
    key: {
      kty: "RSA",
      n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
      e: "AQAB",
    },
    token: `eyJhbGciOiJSUzI1NiJ9.${PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`,
  },
  {
    section: "A.3",
    alg: "ES256",
    key: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    token: `eyJhbGciOiJFUzI1NiJ9.${PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
  },
  {
    section: "A.4",
    alg: "ES512",
    key: {
      kty: "EC",
      crv: "P-521",
      x: "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
      y: "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    },
    token:
      "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
  },
];

describe("RFC 7515 appendix A", () => {
  it.each(APPENDIX_A)("$section ($alg) verifies", ({ alg, key, token }) => {
    const { header, payload } = verifyCompact(token, key, { algorithms: [alg] });
    expect(header.alg).toBe(alg);
    expect(Buffer.from(payload).toString("base64url")).toBe(token.split(".")[1]);
  });

  it("A.5 (unsecured) is refused", () => {
    const token = `eyJhbGciOiJub25lIn0.${PAYLOAD}.`;
    for (const { alg, key } of APPENDIX_A) {
      expect(() => verifyCompact(token, key, { algorithms: [alg] })).toThrow(
        expect.objectContaining({ code: "algorithm" } satisfies Partial<JwsError>),
      );
    }
  });
});

interface Example {
  readonly reproducible?: boolean;
  readonly input: { readonly payload: string; readonly key: { readonly kty: string }; readonly alg: string };
  readonly signing: { readonly protected: { readonly alg: string } };
  readonly output: { readonly compact: string };
}

const vectors = process.env.CELLO_VECTORS;
if (vectors === undefined)
  console.info("CELLO_VECTORS is not set: the examples of RFC 7520, 7797 and 8037 are skipped");

function example(path: string): Example {
  return JSON.parse(readFileSync(join(vectors ?? "", "jose-cookbook", path), "utf8"));
}

describe.skipIf(vectors === undefined)("the JOSE cookbook", () => {
  it.each([
    ["RFC 7520 section 4.1 (RS256)", "jws/4_1.rsa_v15_signature.json"],
    ["RFC 7520 section 4.2 (PS384)", "jws/4_2.rsa-pss_signature.json"],
    ["RFC 7520 section 4.3 (ES512)", "jws/4_3.ecdsa_signature.json"],
    ["RFC 7520 section 4.4 (HS256)", "jws/4_4.hmac-sha2_integrity_protection.json"],
    ["RFC 8037 appendix A.4 (Ed25519)", "curve25519/jws.json"],
  ])("%s verifies, and is reproduced where it can be", (_, path) => {
    const { input, signing, output, reproducible } = example(path);
    const verified = verifyCompact(output.compact, input.key, { algorithms: [input.alg] });
    expect(Buffer.from(verified.payload).toString()).toBe(input.payload);
    expect(verified.header).toEqual(signing.protected);
    if (reproducible !== true) return;
    expect(signCompact(Buffer.from(input.payload), input.key, signing.protected)).toBe(output.compact);
  });

  it("RFC 7520 section 4.5 (detached) has no signature over an empty payload", () => {
    const { input, output } = example("jws/4_5.signature_with_detached_content.json");
    expect(output.compact).toContain("..");
    expect(() => verifyCompact(output.compact, input.key, { algorithms: [input.alg] })).toThrow(
      expect.objectContaining({ code: "signature" }),
    );
  });

  it("RFC 7797 (b64: false) is refused", () => {
    const { input, output, signing } = example("rfc7797/hmac-sha2_b64_false.json");
    expect(() => verifyCompact(output.compact, input.key, { algorithms: [input.alg] })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/critical_header|malformed/) }),
    );
    expect(() => signCompact(Buffer.from(input.payload), input.key, signing.protected)).toThrow(
      expect.objectContaining({ code: "critical_header" }),
    );
  });
});
