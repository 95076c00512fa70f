import { describe, expect, it } from "vitest";
import { patience, runCello, spawnCello } from "../../test/run-cello.js";

describe("cello secret", () => {
  it("prints 32 random bytes as base64url, another each time", patience, async () => {
    const [first, second] = await Promise.all([spawnCello(["secret"]), runCello(["secret"])]);
    expect(first).toMatchObject({ exitCode: 0, stderr: "" });
    expect(first.stdout).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
    expect(second.stdout).not.toBe(first.stdout);
  });

  it("prints as many bytes as asked for", async () => {
    const { stdout } = await runCello(["secret", "--bytes", "64"]);
    expect(Buffer.from(stdout.trim(), "base64url")).toHaveLength(64);
  });

  it.each(["15", "8", "0", "-1", "32.5", "1e2", "many", "1025", ""])(
    "refuses %j bytes as wrong usage",
    async (bytes) => {
      const { stdout, stderr, exitCode } = await runCello(["secret", "--bytes", bytes]);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
      expect(stderr).toContain("whole number from 16 to 1024");
    },
  );
});

describe("cello", () => {
  it("explains itself with examples and exit codes", async () => {
    const { stdout, exitCode } = await runCello(["--help"]);
    expect(exitCode).toBe(0);
    for (const word of ["secret", "keygen", "token", "Examples:", "Exit codes"]) expect(stdout).toContain(word);
  });

  it("prints the package's version", async () => {
    expect(await runCello(["--version"])).toEqual({
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
      stderr: "",
      exitCode: 0,
    });
  });

  it.each([[[]], [["secrets"]], [["secret", "--byte", "32"]], [["secret", "extra"]], [["keygen"]], [["token"]]])(
    "calls %j wrong usage, on standard error",
    async (args) => {
      const { stdout, stderr, exitCode } = await runCello(args);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
      expect(stderr).not.toBe("");
      expect(stderr).not.toMatch(/^\s+at /m);
    },
  );
});
