import { afterEach, describe, expect, it, vi } from "vitest";
import { ConfigError } from "./errors.js";
import type { SecretStrength } from "./secret-strength.js";

const short: SecretStrength = {
  subject: "JwtConfig",
  field: "secret",
  what: "an HS256 key",
  neededBytes: 32,
  actualBytes: 15,
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
    expect(() => checkSecretStrength({ ...short, actualBytes: 0 })).toThrow("got 0");
  });

  it("says nothing about a secret that is long enough", async () => {
    const { checkSecretStrength, warn } = await load();
    checkSecretStrength({ ...short, actualBytes: 32, isStrict: true });
    expect(warn).not.toHaveBeenCalled();
  });
});

describe("strictByDefault", () => {
  it("reads NODE_ENV when it is asked", async () => {
    const { strictByDefault } = await load();
    vi.stubEnv("NODE_ENV", "production");
    expect(strictByDefault()).toBe(true);
    vi.stubEnv("NODE_ENV", "development");
    expect(strictByDefault()).toBe(false);
  });
});
