// Verifying a token. The tokens come from a file; "repeated" takes the first of them over and over.
import { createPublicKey, createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";

/** @param params.algorithm, params.key (secret or PEM), params.tokenFile, params.isRepeated */
export const contenders = {
  async cello(params) {
    const { Jwt } = await import("../../../dist/index.js");
    const jwt = new Jwt({ secret: params.key, algorithm: params.algorithm });
    if (!params.isRepeated) return contender(params, false, (token) => jwt.verify(token));
    const { TokenAuthenticator } = await import("../../../dist/jwt/step.js");
    const { EventHub } = await import("../../../dist/core/events.js");
    const authenticator = new TokenAuthenticator(jwt, new EventHub());
    return contender(params, false, (token) => authenticator.authenticate(view(token)).claims);
  },
  async "fast-jwt"(params) {
    const { createVerifier } = await import("fast-jwt");
    const verify = createVerifier({ key: params.key, algorithms: [params.algorithm], cache: params.isRepeated });
    return contender(params, false, verify);
  },
  async jose(params) {
    const { importSPKI, jwtVerify } = await import("jose");
    const { algorithm, key } = params;
    const cryptoKey = algorithm.startsWith("HS")
      ? await crypto.subtle.importKey("raw", Buffer.from(key), { name: "HMAC", hash: "SHA-256" }, false, ["verify"])
      : await importSPKI(key, algorithm);
    const options = { algorithms: [algorithm] };
    return contender(params, true, async (token) => (await jwtVerify(token, cryptoKey, options)).payload);
  },
  async jsonwebtoken(params) {
    const { default: jsonwebtoken } = await import("jsonwebtoken");
    const { algorithm, key } = params;
    const keyObject = algorithm.startsWith("HS") ? createSecretKey(Buffer.from(key)) : createPublicKey(key);
    const options = { algorithms: [algorithm] };
    return contender(params, false, (token) => jsonwebtoken.verify(token, keyObject, options));
  },
};

function contender({ tokenFile, isRepeated }, isAsync, verify) {
  const all = readFileSync(tokenFile, "latin1").split("\n");
  const tokens = isRepeated ? all.slice(0, 1) : all;
  return {
    isAsync,
    async check() {
      const { sub } = await verify(tokens[0]);
      if (sub !== "user-1") throw new Error(`verified a token of ${sub}`);
      const [header, payload] = tokens[0].split(".");
      try {
        const claims = await verify(`${header}.${payload}.${all.at(-1).split(".")[2]}`);
        // Cello's pipeline answers with a reason instead of throwing.
        if (claims === undefined) return;
      } catch {
        return;
      }
      throw new Error("accepted a forged token");
    },
    op: (turn) => verify(tokens[turn % tokens.length]),
  };
}

/** As much of a request as reading its token needs. */
function view(token) {
  const header = `Bearer ${token}`;
  return { header: (name) => (name === "authorization" ? header : undefined), headerCount: () => 1 };
}
