import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateJwkThumbprint } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { patience, runCello, spawnCello } from "../../test/run-cello.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cello-keygen-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const read = (name: string) => readFileSync(join(folder, name), "utf8");
const mode = (name: string) => statSync(join(folder, name)).mode & 0o777;

function readJwk(name: string): JsonWebKey {
  const jwk: unknown = JSON.parse(read(name));
  if (typeof jwk !== "object" || jwk === null) throw new Error(`${name} is no JWK`);
  return { ...jwk };
}

function areOnePair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const hash = privateKey.asymmetricKeyType === "ed25519" ? null : "sha256";
  const data = Buffer.from("data");
  return verify(hash, data, publicKey, sign(hash, data, privateKey));
}

describe("cello keygen", () => {
  it.each([
    ["ES256", { asymmetricKeyType: "ec", asymmetricKeyDetails: { namedCurve: "prime256v1" } }],
    ["ES384", { asymmetricKeyType: "ec", asymmetricKeyDetails: { namedCurve: "secp384r1" } }],
    ["ES512", { asymmetricKeyType: "ec", asymmetricKeyDetails: { namedCurve: "secp521r1" } }],
    ["EdDSA", { asymmetricKeyType: "ed25519" }],
    ["RS256", { asymmetricKeyType: "rsa", asymmetricKeyDetails: { modulusLength: 3072 } }],
    ["PS512", { asymmetricKeyType: "rsa", asymmetricKeyDetails: { modulusLength: 3072 } }],
  ])("writes one %s key pair as PEM and as JWK, the private files for their owner alone", async (algorithm, kind) => {
    const { exitCode, stderr } = await runCello(["keygen", algorithm, "--out", folder]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const name = algorithm.toLowerCase();
    expect(readdirSync(folder).sort()).toEqual(
      ["private.jwk.json", "private.pem", "public.jwk.json", "public.pem"].map((suffix) => `${name}.${suffix}`),
    );
    const privateJwk = readJwk(`${name}.private.jwk.json`);
    const publicJwk = readJwk(`${name}.public.jwk.json`);
    const privateKey = createPrivateKey(read(`${name}.private.pem`));
    const publicKey = createPublicKey(read(`${name}.public.pem`));
    expect(privateKey).toMatchObject(kind);
    expect(areOnePair(privateKey, publicKey)).toBe(true);
    expect(createPrivateKey({ key: privateJwk, format: "jwk" }).equals(privateKey)).toBe(true);
    expect(createPublicKey({ key: publicJwk, format: "jwk" }).equals(publicKey)).toBe(true);
    const kid = await calculateJwkThumbprint({ kty: "", ...publicJwk });
    expect(privateJwk).toMatchObject({ alg: algorithm, use: "sig", kid });
    expect(publicJwk).toMatchObject({ alg: algorithm, use: "sig", kid });
    for (const secret of ["d", "p", "q", "dp", "dq", "qi", "k"]) expect(publicJwk).not.toHaveProperty(secret);
    expect(mode(`${name}.private.pem`)).toBe(0o600);
    expect(mode(`${name}.private.jwk.json`)).toBe(0o600);
    expect(mode(`${name}.public.pem`)).toBe(0o644 & ~process.umask());
  });

  it.each([
    ["HS256", 32],
    ["HS384", 48],
    ["HS512", 64],
  ])(
    "writes one %s secret of %i random bytes as text and as JWK that make the same signature",
    async (algorithm, bytes) => {
      await runCello(["keygen", algorithm, "--out", folder]);
      const name = algorithm.toLowerCase();
      expect(readdirSync(folder).sort()).toEqual([`${name}.secret.jwk.json`, `${name}.secret.txt`]);
      const text = read(`${name}.secret.txt`).trim();
      const jwk = readJwk(`${name}.secret.jwk.json`);
      expect(Buffer.from(text, "base64url")).toHaveLength(bytes);
      const fromJwk = createSecretKey(Buffer.from(jwk.k ?? "", "base64url"));
      expect(createHmac("sha256", fromJwk).update("data").digest()).toEqual(
        createHmac("sha256", text).update("data").digest(),
      );
      expect(jwk).toMatchObject({ kty: "oct", alg: algorithm });
      expect(mode(`${name}.secret.txt`)).toBe(0o600);
      expect(mode(`${name}.secret.jwk.json`)).toBe(0o600);
    },
  );

  it("takes a key id, an RSA size, a format and a beginning of the file names", async () => {
    const prefix = join(folder, "new", "signing");
    const args = ["keygen", "RS256", "--bits", "2048", "--kid", "2026", "--format", "jwk", "--out", prefix];
    const { stdout, exitCode } = await runCello(args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${prefix}.public.jwk.json\n`);
    expect(readdirSync(join(folder, "new")).sort()).toEqual(["signing.private.jwk.json", "signing.public.jwk.json"]);
    const key = readJwk("new/signing.public.jwk.json");
    expect(key).toMatchObject({ kid: "2026" });
    expect(createPublicKey({ key, format: "jwk" }).asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
    expect(mode("new")).toBe(0o700);
  });

  it("never overwrites a file unless forced, and writes nothing beside it", async () => {
    writeFileSync(join(folder, "es256.public.jwk.json"), "precious");
    const { exitCode, stderr } = await runCello(["keygen", "ES256", "--out", folder]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("es256.public.jwk.json exists");
    expect(readdirSync(folder)).toEqual(["es256.public.jwk.json"]);
    expect(read("es256.public.jwk.json")).toBe("precious");
  });

  it("replaces files when forced, without inheriting a loose mode", async () => {
    writeFileSync(join(folder, "es256.private.pem"), "old");
    chmodSync(join(folder, "es256.private.pem"), 0o666);
    const { exitCode } = await runCello(["keygen", "ES256", "--out", folder, "--force"]);
    expect(exitCode).toBe(0);
    expect(createPrivateKey(read("es256.private.pem")).asymmetricKeyType).toBe("ec");
    expect(mode("es256.private.pem")).toBe(0o600);
    expect(readdirSync(folder)).toHaveLength(4);
  });

  it("does not follow a dangling link that stands where a private key would go", async () => {
    const elsewhere = join(folder, "elsewhere");
    symlinkSync(elsewhere, join(folder, "es256.private.pem"));
    const { exitCode, stderr } = await runCello(["keygen", "ES256", "--out", folder]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(existsSync(elsewhere)).toBe(false);
    expect(readdirSync(folder)).toEqual(["es256.private.pem"]);
  });

  it("prints the key when no file is asked for", patience, async () => {
    const pem = await spawnCello(["keygen", "ES256", "--format", "pem"], { cwd: folder });
    expect(
      areOnePair(
        createPrivateKey(pem.stdout),
        createPublicKey(pem.stdout.slice(pem.stdout.indexOf("-----BEGIN PUBLIC"))),
      ),
    ).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    [["keygen", "none"]],
    [["keygen", "HS1"]],
    [["keygen", "es256"]],
    [["keygen", "RS256", "--bits", "1024"]],
    [["keygen", "ES256", "--format", "der"]],
  ])("calls %j wrong usage", async (args) => {
    const { stdout, exitCode } = await runCello(args);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
  });
});
