import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConfigError } from "./errors.js";
import type { SecretStrength } from "./secret-strength.js";

const short: SecretStrength = {
  subject: "JwtConfig",
  field: "secret",
  what: "an HS256 key",
  neededBytes: 32,
  secret: Buffer.from("fifteen letters"),
  isStrict: false,
};

/** A fresh copy of the module: its warning comes once per process. */
async function load() {
  vi.resetModules();
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  return { ...(await import("./secret-strength.js")), warn };
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("checkSecretStrength", () => {
  it("throws for a short secret when strict", async () => {
    const { checkSecretStrength } = await load();
    expect(() => checkSecretStrength({ ...short, isStrict: true })).toThrow(
      'JwtConfig.secret: an HS256 key needs at least 32 bytes, got 15; make one with "npx cello secret"',
    );
    expect(() => checkSecretStrength({ ...short, isStrict: true })).toThrow(
      expect.objectContaining({ name: ConfigError.name, code: "CELLO_WEAK_SECRET", field: "secret" }),
    );
  });

  it("warns once per process otherwise", async () => {
    const { checkSecretStrength, warn } = await load();
    checkSecretStrength(short);
    checkSecretStrength({ ...short, subject: "SessionConfig" });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("got 15"), { code: "CELLO_WEAK_SECRET" });
  });

  it("always refuses an empty secret", async () => {
    const { checkSecretStrength } = await load();
    expect(() => checkSecretStrength({ ...short, secret: new Uint8Array() })).toThrow("got 0");
  });

  it("says nothing about a secret that is long enough", async () => {
    const { checkSecretStrength, warn } = await load();
    checkSecretStrength({ ...short, secret: randomBytes(32), isStrict: true });
    expect(warn).not.toHaveBeenCalled();
  });
});

const problemOf = async (secret: string | Uint8Array) => {
  const { checkSecretStrength } = await load();
  try {
    checkSecretStrength({ ...short, secret: Buffer.from(secret), isStrict: true });
    return undefined;
  } catch (error) {
    // The class is that of the fresh copy, not that of this file.
    return error instanceof Error && "code" in error ? `${error.code} ${error.message}` : error;
  }
};

describe("a secret that is long and weak", () => {
  beforeEach(() => {
    vi.resetModules();
  });

  it.each<[string, string | Uint8Array]>([
    ["one letter", "a".repeat(32)],
    ["zeros", new Uint8Array(64)],
    ["eight bytes again and again", Buffer.concat(Array(8).fill(randomBytes(8)))],
    ["sixteen bytes twice", Buffer.concat(Array(2).fill(randomBytes(16)))],
    ["30 bytes and again", Buffer.concat(Array(3).fill(randomBytes(30)))],
    ["a word, padded", "secret".padEnd(32, "0")],
    ["a word, padded in front", "password123".padStart(64, "*")],
    ["a word in the middle of zeros", `${"0".repeat(20)}password${"0".repeat(20)}`],
    ["a word again and again", "secret".repeat(8)],
    ["the alphabet", "abcdefghijklmnopqrstuvwxyz0123456789"],
    ["digits in order", "12345678901234567890123456789012"],
    ["bytes in order", Uint8Array.from({ length: 64 }, (_, index) => index)],
    ["bytes in steps of three", Uint8Array.from({ length: 64 }, (_, index) => 200 - 3 * index)],
    ["bits", "0110100110010110100101100110100101"],
    ["what jwt.io shows", "a-string-secret-at-least-256-bits-long"],
    ["what jwt.io showed", "your-256-bit-secret-your-384-bit"],
    ["a sample of these pages", "a secret of more than thirty-two bytes"],
    ["a template", "please CHANGE_ME before you go live, my friend"],
    ["a template in one word", "pleasechangemebeforeyougolivemyfriend"],
    ["a template with its purpose", "my-app-replace_this-0815-with-something"],
    ["a template for a key", "your_super_long_jwt_secretkey_of_2026"],
    ["another template", "<put your super secret key here, of 32 letters>"],
    ["the key of RFC 7515", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"],
  ])("is refused when strict: %s", async (_, secret) => {
    expect(await problemOf(secret)).toMatch(/^CELLO_WEAK_SECRET JwtConfig\.secret: /);
  });

  it("is told what is wrong with it, and never shown", async () => {
    expect(await problemOf("secret".padEnd(32, "0"))).toBe(
      'CELLO_WEAK_SECRET JwtConfig.secret: an HS256 key needs at least 32 bytes, got 32 of which 8 remain when what repeats or counts on is left out; make one with "npx cello secret"',
    );
    expect(await problemOf([...randomBytes(64)].map((byte) => byte % 5).join(""))).toContain(
      "at least 7 different bytes, got 5",
    );
    expect(await problemOf("a-string-secret-at-least-256-bits-long")).toContain(
      "is an example that everybody can read",
    );
  });

  it.each([
    "feed your donkey with 77 pears and mangoes",
    "hide your monkey behind the tall barrel 93",
    "all your turkeys know your old whiskey, 1987",
    "the secretary of your 12 secretariats is on leave",
    "le changement de 1789 n'est pas encore fini",
    "they change medals, and 44 merchants replace menus",
    "view-me-at-dawn-for-seven-brass-buttons",
  ])("is not a passphrase that only sounds like a template: %s", async (secret) => {
    expect(await problemOf(secret)).toBeUndefined();
  });

  it.each<[string, (bytes: Buffer) => string | Buffer]>([
    ["bytes", (bytes) => bytes],
    ["hex", (bytes) => bytes.toString("hex")],
    ["half as much hex", (bytes) => bytes.toString("hex", 0, 16)],
    ["base64", (bytes) => bytes.toString("base64")],
    ["base64url", (bytes) => bytes.toString("base64url")],
    ["two UUIDs", () => `${randomUUID()}${randomUUID()}`],
    ["digits", (bytes) => [...bytes].map((byte) => byte % 10).join("")],
    ["64 digits", (bytes) => [...bytes, ...randomBytes(32)].map((byte) => byte % 10).join("")],
  ])("is never a random one: %s", async (_, write) => {
    const { checkSecretStrength } = await load();
    const neededBytes = 32;
    for (let round = 0; round < 500; round++) {
      const secret = Buffer.from(write(randomBytes(32)));
      // Once in a thousand runs, 500 times 32 digits have too few different ones.
      if (new Set(secret).size < 7) continue;
      checkSecretStrength({ ...short, secret, neededBytes, isStrict: true });
    }
  });

  it("takes no time, however long it is", async () => {
    const secret = Buffer.concat([randomBytes(700), Buffer.alloc(1_000_000)]);
    expect(await problemOf(secret)).toBeUndefined();
  });
});

describe("isProduction", () => {
  it("reads NODE_ENV when it is asked", async () => {
    const { isProduction } = await load();
    vi.stubEnv("NODE_ENV", "production");
    expect(isProduction()).toBe(true);
    vi.stubEnv("NODE_ENV", "development");
    expect(isProduction()).toBe(false);
  });
});
