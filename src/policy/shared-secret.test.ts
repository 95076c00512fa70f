import { randomBytes } from "node:crypto";
import { App, Security } from "cello";
import { describe, expect, it } from "vitest";

const one = randomBytes(32);
const other = randomBytes(32).toString("base64url");

function codesOf(jwt: object, session: object | undefined): string[] {
  const codes: string[] = [];
  const security = new Security({ jwt, ...(session === undefined ? {} : { session: { secret: other, ...session } }) });
  security.on("config.warning", ({ code }) => codes.push(code));
  return codes;
}

describe("a secret that tokens and sessions have in common", () => {
  it("is told, in whatever form it is given, and wherever it stands in a list", () => {
    const jwk = { kty: "oct", k: one.toString("base64url") };
    for (const secret of [one, jwk, [randomBytes(32), one]]) {
      expect(codesOf({ secret }, { secret: [randomBytes(32), one] })).toEqual(["CELLO_SHARED_SECRET"]);
    }
  });

  it("is told by an App", async () => {
    const codes: string[] = [];
    const app = new App();
    app.on("config.warning", ({ code, message }) => codes.push(`${code} ${message.includes(other)}`));
    app.enableJwt({ secret: other }).enableSession({ secret: other });
    await app.fastify.ready();
    await app.close();
    expect(codes).toEqual(["CELLO_SHARED_SECRET false"]);
  });

  it("is not seen where there is none", () => {
    expect(codesOf({ secret: one }, { secret: other })).toEqual([]);
    expect(codesOf({ secret: one }, undefined)).toEqual([]);
    expect(codesOf({ jwksUri: "https://issuer.example/jwks", algorithm: "ES256" }, {})).toEqual([]);
  });
});
