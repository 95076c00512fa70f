import { execFileSync } from "node:child_process";
import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JwtConfig, SessionConfig } from "cello";
import { signCompact, verifyCompact } from "cello/jws";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { keyMaterialIn } from "./key-material.js";

const pairs = {
  RSA: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "RSA-PSS": generateKeyPairSync("rsa-pss", { modulusLength: 2048 }),
  EC: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "EC P-521": generateKeyPairSync("ec", { namedCurve: "P-521" }),
  Ed25519: generateKeyPairSync("ed25519"),
  X25519: generateKeyPairSync("x25519"),
};

/** A self-signed certificate in PEM, as openssl writes it. */
function certificate(): string {
  const folder = mkdtempSync(join(tmpdir(), "cello-certificate-"));
  try {
    const key = join(folder, "key.pem");
    const made = join(folder, "made.pem");
    const options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made, "-subj", "/CN=x"];
    execFileSync("openssl", ["req", ...options], { stdio: "ignore" });
    return readFileSync(made, "latin1");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const bodyOf = (pem: string) => pem.replace(/-----[^-]+-----/g, "").trim();
const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes]);

/** An RSA key as ssh-keygen writes it: RFC 4253 section 6.6. */
function sshKey(key: KeyObject): Buffer {
  const { n = "", e = "" } = key.export({ format: "jwk" });
  const modulus = Buffer.concat([Buffer.from([0]), Buffer.from(n, "base64url")]);
  return Buffer.concat([field(Buffer.from("ssh-rsa")), field(Buffer.from(e, "base64url")), field(modulus)]);
}

const forms: [string, string | Buffer][] = Object.entries(pairs).flatMap(([name, { publicKey, privateKey }]) => {
  const list: [string, string | Buffer][] = [];
  const types = name === "RSA" ? (["spki", "pkcs1"] as const) : (["spki"] as const);
  for (const type of types) {
    list.push([`${name} public ${type}, PEM`, publicKey.export({ type, format: "pem" }).toString()]);
    list.push([`${name} public ${type}, DER`, publicKey.export({ type, format: "der" })]);
  }
  const privateTypes =
    name === "RSA"
      ? (["pkcs8", "pkcs1"] as const)
      : name.startsWith("EC")
        ? (["pkcs8", "sec1"] as const)
        : (["pkcs8"] as const);
  for (const type of privateTypes) {
    list.push([`${name} private ${type}, PEM`, privateKey.export({ type, format: "pem" }).toString()]);
    list.push([`${name} private ${type}, DER`, privateKey.export({ type, format: "der" })]);
  }
  if (name === "RSA-PSS") return list;
  const jwk = publicKey.export({ format: "jwk" });
  list.push([`${name} JWK`, JSON.stringify(jwk)]);
  list.push([`${name} JWK, indented`, `\n${JSON.stringify(jwk, undefined, 2)}\n`]);
  list.push([`${name} JWK Set`, JSON.stringify({ keys: [jwk] })]);
  list.push([`${name} list of JWKs`, JSON.stringify([jwk])]);
  list.push([`${name} private JWK`, JSON.stringify(privateKey.export({ format: "jwk" }))]);
  return list;
});

const pem = certificate();
const encrypted = pairs.RSA.privateKey.export({ type: "pkcs8", format: "der", cipher: "aes-256-cbc", passphrase: "x" });
const { x = "", y = "" } = pairs.EC.publicKey.export({ format: "jwk" });
forms.push(
  ["a certificate, PEM", pem],
  ["a certificate, DER", Buffer.from(bodyOf(pem), "base64")],
  ["a certificate as x5c has it", bodyOf(pem).replace(/\s/g, "")],
  ["a chain of x5c", JSON.stringify({ x5c: [bodyOf(pem).replace(/\s/g, "")] })],
  ["an encrypted private key, DER", encrypted],
  ["an SSH key, wire", sshKey(pairs.RSA.publicKey)],
  ["an SSH key, line", `ssh-rsa ${sshKey(pairs.RSA.publicKey).toString("base64")} me@here`],
  ["an SSH key with options", `no-pty ssh-rsa ${sshKey(pairs.RSA.publicKey).toString("base64")}`],
  ["an SSH key, RFC 4716", `---- BEGIN SSH2 PUBLIC KEY ----\n${sshKey(pairs.RSA.publicKey).toString("base64")}`],
  ["a point of P-256", Buffer.concat([Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])],
  ["a JWK without its type", JSON.stringify({ n: "x".repeat(40), e: "AQAB" })],
  ["an RSA key in XML", "<RSAKeyValue><Modulus>AAAA</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>"],
);

const dresses: [string, (form: string | Buffer) => string | Buffer][] = [
  ["as it is", (form) => form],
  ["its bytes", (form) => Buffer.from(form)],
  ["base64", (form) => Buffer.from(form).toString("base64")],
  ["base64 in lines", (form) => Buffer.from(form).toString("base64").replace(/.{64}/g, "$&\n")],
  ["base64 with \\n", (form) => Buffer.from(form).toString("base64").replace(/.{64}/g, "$&\\n")],
  ["base64 without padding", (form) => Buffer.from(form).toString("base64").replace(/=+$/, "")],
  ["base64url", (form) => Buffer.from(form).toString("base64url")],
  ["the bytes of base64", (form) => Buffer.from(Buffer.from(form).toString("base64"))],
  ["base64 twice", (form) => Buffer.from(Buffer.from(form).toString("base64")).toString("base64")],
  ["quoted base64", (form) => `"${Buffer.from(form).toString("base64")}"`],
  ["hex", (form) => Buffer.from(form).toString("hex")],
  [
    "HEX with colons",
    (form) =>
      Buffer.from(form)
        .toString("hex")
        .toUpperCase()
        .replace(/..(?!$)/g, "$&:"),
  ],
  ["0x hex", (form) => `0x${Buffer.from(form).toString("hex")}`],
  ["a data URL", (form) => `data:application/octet-stream;base64,${Buffer.from(form).toString("base64")}`],
  ["percent-encoded base64", (form) => encodeURIComponent(Buffer.from(form).toString("base64"))],
];

const refused = expect.objectContaining({ name: "ConfigError", code: "CELLO_INVALID_VALUE", field: "secret" });
const unfit = expect.objectContaining({ code: "unfit_key" });
/** Those who take a secret, and what they say of a key. */
const takers: [(secret: string | Buffer) => unknown, unknown][] = [
  [(secret) => new JwtConfig({ secret }), refused],
  [(secret) => new JwtConfig({ secret: [randomBytes(32), secret] }), refused],
  [(secret) => new SessionConfig({ secret }), refused],
  [(secret) => new SessionConfig({ secret: [randomBytes(32), secret] }), refused],
  [(secret) => signCompact(new Uint8Array(1), secret, { alg: "HS256" }), unfit],
  [(secret) => verifyCompact("a.b.c", secret, { algorithms: ["HS256"] }), unfit],
];

describe("a key in another dress", () => {
  it.each(forms)("is no secret: %s", (_, form) => {
    // Every form in every dress, and every form to each of those who ask: not all three with one another.
    for (const [index, [dress, wear]] of dresses.entries()) {
      const [take, refusal] = takers[index % takers.length] ?? [];
      expect(() => take?.(wear(form)), dress).toThrow(refusal as Error);
    }
  });

  it.each(Object.entries(pairs))("is no secret in the middle of something else: %s", (name, { publicKey }) => {
    const der = publicKey.export({ type: "spki", format: "der" });
    const text = publicKey.export({ type: "spki", format: "pem" }).toString();
    const base64 = der.toString("base64");
    const around: Record<string, string> = {
      "base64:": `base64:${base64}`,
      "hex:": `hex:${der.toString("hex")}`,
      "base64: of PEM": `base64:${Buffer.from(text).toString("base64")}`,
      "a line of an environment file": `JWT_KEY="${base64}"`,
      "a comma behind": `${base64},`,
      "a comment before": `# the key\n${base64}`,
      "a member of JSON": JSON.stringify({ publicKey: base64 }),
      "slashes as PHP writes them": `"${base64.replaceAll("/", "\\/")}"`,
      "a block of YAML": `|\n  ${base64.replace(/.{64}/g, "$&\n  ")}\n`,
      "PEM without its first line": text.slice(text.indexOf("\n") + 1),
      "a list of bytes": JSON.stringify([...der]),
      "a Buffer in JSON": JSON.stringify(der),
      "bytes of C": [...der].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`).join(", "),
      escapes: [...der].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join(""),
    };
    if (name !== "RSA-PSS") {
      const jwk = JSON.stringify(publicKey.export({ format: "jwk" }));
      const nested = { data: { keys: [publicKey.export({ format: "jwk" })] } };
      around["a JWK deeper in JSON"] = JSON.stringify(nested);
      around["JSON in JSON"] = JSON.stringify(jwk);
      around["a JWK with a name before"] = `JWK=${jwk}`;
      around["base64: of a JWK"] = `base64:${Buffer.from(jwk).toString("base64url")}`;
    }
    for (const [place, secret] of Object.entries(around)) {
      const refusal = expect.objectContaining({ code: "CELLO_INVALID_VALUE", field: "secret" });
      expect(() => new JwtConfig({ secret }), place).toThrow(refusal);
      expect(() => new SessionConfig({ secret }), place).toThrow(refusal);
    }
  });

  it.each(forms)("is no secret as a KeyObject or an oct JWK either: %s", (_, form) => {
    const secrets = [createSecretKey(Buffer.from(form)), { kty: "oct", k: Buffer.from(form).toString("base64url") }];
    for (const secret of secrets) {
      expect(() => new JwtConfig({ secret })).toThrow(expect.objectContaining({ code: "CELLO_INVALID_VALUE" }));
    }
  });

  it("is named, and never shown", () => {
    const secret = bodyOf(pairs.RSA.publicKey.export({ type: "spki", format: "pem" }).toString());
    expect(() => new JwtConfig({ secret })).toThrow(
      'JwtConfig.secret: HS256 needs a shared secret, got a key in DER; set the algorithm to that of the key, for example "RS256", or for HS256 make one with "npx cello secret"',
    );
    expect(() => new SessionConfig({ secret })).toThrow(
      'SessionConfig.secret: must be a secret of its own, got a key in DER; make one with "npx cello secret"',
    );
  });

  it("is not seen in random secrets, in whatever form they are written", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 300 }), fc.constantFrom(...dresses), (bytes, [, wear]) => {
        expect(keyMaterialIn(Buffer.from(wear(Buffer.from(bytes))))).toBeUndefined();
      }),
      runs(2000),
    );
    for (const start of [[0x30, 0x82], [0x30, 30], [0x04], [0x7b], [0, 0, 0, 7]]) {
      for (const length of [32, 48, 64, 65, 97, 133]) {
        const bytes = randomBytes(length);
        bytes.set(start);
        expect(keyMaterialIn(bytes)).toBeUndefined();
      }
    }
  });
});
