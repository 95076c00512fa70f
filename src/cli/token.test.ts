import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { patience, runCello, spawnCello } from "../../test/run-cello.js";

const secret = randomBytes(48).toString("base64url");
const env = { JWT_SECRET: secret };
const fromEnv = ["--secret-env", "JWT_SECRET"];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cello-token-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function sign(...args: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await runCello(["token", "sign", ...fromEnv, ...args], { env });
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
}

/** A token by another implementation. */
function foreignToken(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256", ...header }).sign(Buffer.from(secret));
}

describe("cello token sign", () => {
  it("makes a token that another implementation accepts, of an hour by default", async () => {
    const token = await sign("--subject", "u1", "--issuer", "me", "--audience", "you");
    const { payload } = await jwtVerify(token, Buffer.from(secret), { issuer: "me", audience: "you" });
    expect(payload.sub).toBe("u1");
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
  });

  it("takes claims as text and as JSON, a lifetime with a unit, a jti and a typ", async () => {
    const token = await sign(
      ...["--claim", "tenant=a=b", "--claim", "admin=true", "--json", '{"roles":["admin"],"level":3}'],
      ...["--expires-in", "15m", "--jti", "--typ", "at+jwt"],
    );
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({ tenant: "a=b", admin: "true", roles: ["admin"], level: 3 });
    expect(claims.jti).toMatch(/^[0-9a-f-]{36}$/);
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(900);
    expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", typ: "at+jwt" });
  });

  it("reads the secret from standard input or a file, without the line break at its end", async () => {
    const args = ["token", "sign", "--subject", "u1"];
    const piped = await runCello(args, { stdin: `${secret}\n` });
    const fromFile = await runCello([...args, "--key-file", write("secret.txt", `${secret}\r\n`)]);
    for (const { stdout } of [piped, fromFile]) {
      expect((await jwtVerify(stdout.trim(), Buffer.from(secret))).payload.sub).toBe("u1");
    }
  });

  it("chooses the algorithm by the key, and asks where an RSA key leaves a choice", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const pem = write("ec.pem", privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    const { stdout } = await runCello(["token", "sign", "--key-file", pem]);
    expect(decodeProtectedHeader(stdout.trim()).alg).toBe("ES384");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const rsaPem = write("rsa.pem", rsa.export({ format: "pem", type: "pkcs8" }).toString());
    const asked = await runCello(["token", "sign", "--key-file", rsaPem]);
    expect(asked.exitCode).toBe(2);
    expect(asked.stderr).toContain("--algorithm");
    const told = await runCello(["token", "sign", "--key-file", rsaPem, "--algorithm", "PS256"]);
    expect(decodeProtectedHeader(told.stdout.trim()).alg).toBe("PS256");
  });

  it("warns in one line of a secret that is too short, and refuses it in production", patience, async () => {
    const short = "a-short-secret";
    const warned = await spawnCello(["token", "sign"], { stdin: short });
    expect(warned.exitCode).toBe(0);
    expect(warned.stderr).toMatch(/^warning: .*at least 32 bytes.*\n$/);
    const refused = await spawnCello(["token", "sign"], { stdin: short, env: { NODE_ENV: "production" } });
    expect(refused).toMatchObject({ stdout: "", exitCode: 1 });
    expect(refused.stderr).not.toContain(short);
  });

  it.each([
    ["a secret in the command line", ["--secret", secret], 2],
    ["two sources of the key", ["--secret-env", "JWT_SECRET", "--key-file", "x"], 2],
    ["a file that is not there", ["--key-file", "/nowhere/key.pem"], 1],
    ["a variable that is not set", ["--secret-env", "NO_SUCH_VARIABLE"], 1],
    ["an unknown algorithm", [...fromEnv, "--algorithm", "none"], 2],
    ["a secret for another kind of algorithm", [...fromEnv, "--algorithm", "RS256"], 1],
    ["a claim without a name", [...fromEnv, "--claim", "=x"], 2],
    ["a claim without a value", [...fromEnv, "--claim", "x"], 2],
    ["claims that are no JSON", [...fromEnv, "--json", "{"], 2],
    ["claims that are no object", [...fromEnv, "--json", "[]"], 2],
    ["a claim that comes twice", [...fromEnv, "--subject", "a", "--claim", "sub=b"], 2],
    ["a registered claim of a wrong type", [...fromEnv, "--claim", "exp=tomorrow"], 1],
    ["a lifetime of nothing", [...fromEnv, "--expires-in", "0"], 2],
    ["a lifetime in weeks", [...fromEnv, "--expires-in", "1w"], 2],
    ["an empty standard input", [], 2],
  ])("refuses %s in a line without a stack trace or the secret", async (_, args, exitCode) => {
    const result = await runCello(["token", "sign", ...args], { env });
    expect(result).toMatchObject({ stdout: "", exitCode });
    expect(result.stderr).toMatch(/^error: /);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(result.stderr).not.toContain(secret);
  });

  it.each(['{"keys":[]}', "{}"])("refuses %s as a key instead of taking it for a secret", async (stdin) => {
    const { exitCode, stderr } = await runCello(["token", "sign"], { stdin });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("not a JWK");
  });
});

describe("cello token verify", () => {
  const verify = (args: readonly string[], stdin = "") =>
    runCello(["token", "verify", ...fromEnv, ...args], { env, stdin });
  const later = Math.floor(Date.now() / 1000) + 600;

  it("prints the claims of a good token, from an argument or standard input", async () => {
    const token = await foreignToken({ sub: "u1", exp: later });
    for (const { stdout, stderr, exitCode } of [await verify([token]), await verify([], `${token}\n`)]) {
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      expect(JSON.parse(stdout)).toEqual({ sub: "u1", exp: later });
    }
  });

  it("takes the key from standard input when the token is an argument", async () => {
    const token = await foreignToken({ sub: "u1", exp: later });
    const { stdout } = await runCello(["token", "verify", token], { stdin: secret });
    expect(JSON.parse(stdout)).toMatchObject({ sub: "u1" });
  });

  it.each([
    ["ES256", "private.jwk.json", "public.jwk.json"],
    ["EdDSA", "private.jwk.json", "public.jwk.json"],
    ["HS512", "secret.jwk.json", "secret.jwk.json"],
  ])("goes with the %s files that keygen writes", async (algorithm, privateFile, publicFile) => {
    await runCello(["keygen", algorithm, "--out", folder]);
    const prefix = join(folder, algorithm.toLowerCase());
    const signed = await runCello(["token", "sign", "--key-file", `${prefix}.${privateFile}`]);
    const token = signed.stdout.trim();
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: algorithm, kid: expect.any(String) });
    const verified = await runCello(["token", "verify", "--key-file", `${prefix}.${publicFile}`, token]);
    expect(verified).toMatchObject({ stderr: "", exitCode: 0 });
  });

  it.each([
    ["expired", { exp: 1000 }, {}, []],
    ["no_expiration", {}, {}, []],
    ["not_yet_valid", { exp: later, nbf: later }, {}, []],
    ["issuer", { exp: later, iss: "other" }, {}, ["--issuer", "me"]],
    ["audience", { exp: later, aud: "other" }, {}, ["--audience", "me"]],
    ["type", { exp: later }, { typ: "JWT" }, ["--typ", "at+jwt"]],
    ["algorithm", { exp: later }, {}, ["--algorithm", "HS384"]],
  ])("says %s on standard error and exits with 1", async (code, claims, header, args) => {
    const { stdout, stderr, exitCode } = await verify([...args, await foreignToken(claims, header)]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 });
    expect(stderr).toMatch(new RegExp(`error: the token is refused: .* \\(${code}\\)\n$`));
  });

  it("refuses a token signed with another secret, or none at all", async () => {
    const token = await foreignToken({ exp: later });
    const [header = "", payload = ""] = token.split(".");
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`;
    const wrong = await runCello(["token", "verify", token], { stdin: randomBytes(32).toString("hex") });
    expect(wrong).toMatchObject({ stdout: "", exitCode: 1, stderr: expect.stringContaining("(signature)") });
    for (const bad of [unsigned, `${header}.${payload}.`, `${header}.${payload}`, "x"]) {
      expect(await verify([bad])).toMatchObject({ stdout: "", exitCode: 1 });
    }
  });

  it("accepts a token without an end, or just past it, only when asked to", async () => {
    const endless = await foreignToken({ sub: "u1" });
    expect(await verify(["--allow-no-expiration", endless])).toMatchObject({ exitCode: 0 });
    const late = await foreignToken({ exp: Math.floor(Date.now() / 1000) - 60 });
    expect(await verify(["--clock-tolerance", "3600", late])).toMatchObject({ exitCode: 0 });
  });

  it("calls a missing key wrong usage, since the token needs standard input", async () => {
    const { stderr, exitCode } = await runCello(["token", "verify"], { stdin: "x.y.z" });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--key-file");
  });

  it("never takes a public key for a secret", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = write("public.pem", publicKey.export({ format: "pem", type: "spki" }).toString());
    const forged = await new SignJWT({ exp: later }).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(pem));
    for (const algorithm of ["HS256", "RS256"]) {
      const args = ["token", "verify", "--key-file", pem, "--algorithm", algorithm, forged];
      expect(await runCello(args)).toMatchObject({ stdout: "", exitCode: 1 });
    }
  });
});

describe("cello token decode", () => {
  it("prints header and claims and says clearly that nothing was verified", patience, async () => {
    const token = await foreignToken({ sub: "u1", exp: 1000 });
    const forged = `${token.slice(0, token.lastIndexOf("."))}.AAAA`;
    const { stdout, stderr, exitCode } = await spawnCello(["token", "decode"], { stdin: forged });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ header: { alg: "HS256" }, claims: { sub: "u1", exp: 1000 } });
    expect(stderr).toContain("Nothing was verified");
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("shows no character that a terminal would obey", async () => {
    const name = "\u001b[2J\u009b2J\u202e\u2066\u200b\u007f\u0007";
    const { stdout } = await runCello(["token", "decode", await foreignToken({ name })]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what we look for.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f]/);
    expect(JSON.parse(stdout)).toMatchObject({ claims: { name } });
  });

  it.each(["", "a.b", "a.b.c.d", "not a token", "e30.W10.x", `e30.${"A".repeat(2_000_000)}.x`])(
    "refuses what is not a token (%#)",
    async (stdin) => {
      const { stdout, stderr, exitCode } = await runCello(["token", "decode"], { stdin });
      expect({ stdout, failed: exitCode !== 0 }).toEqual({ stdout: "", failed: true });
      expect(stderr).toMatch(/^error: .*\n$/);
    },
  );
});
