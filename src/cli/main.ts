#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { exitCodes, explain } from "./failure.js";
import { addKeygenCommand } from "./keygen.js";
import { addSecretCommand } from "./secret.js";
import { addTokenDecodeCommand } from "./token-decode.js";
import { addTokenSignCommand } from "./token-sign.js";
import { addTokenVerifyCommand } from "./token-verify.js";

await run(process.argv);

/** Parses the command line, runs the command, and turns every failure into one line and an exit code. */
async function run(argv: readonly string[]): Promise<void> {
  // A reader that closes the pipe early ("cello keygen ES256 | head -1") is no failure of ours.
  process.stdout.on("error", () => process.exit(exitCodes.ok));
  // Warnings (of a short secret) look like ours, without Node's process id and advice.
  process.removeAllListeners("warning");
  process.on("warning", ({ message }) => process.stderr.write(`warning: ${message}\n`));
  try {
    await program().parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has already printed the help or the message.
      process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
      return;
    }
    const { message, exitCode } = explain(error);
    process.stderr.write(`error: ${message}\n`);
    process.exitCode = exitCode;
  }
}

function program(): Command {
  const cello = new Command("cello")
    .description("Secrets, keys and tokens for an app that Cello protects.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .showHelpAfterError('(add "--help" for the options and examples)')
    .addHelpText(
      "after",
      `
Examples:
  $ cello secret                                        a secret for JWT_SECRET or SESSION_SECRET
  $ cello keygen ES256 --out keys/                      a key pair as PEM and JWK files
  $ cello token sign --secret-env JWT_SECRET --subject u1
  $ cello token verify --secret-env JWT_SECRET < token.txt
  $ cello token decode < token.txt

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.`,
    );
  addSecretCommand(cello);
  addKeygenCommand(cello);
  const token = cello.command("token").description("sign, verify or look into a token");
  addTokenSignCommand(token);
  addTokenVerifyCommand(token);
  addTokenDecodeCommand(token);
  return cello;
}

function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)("../../package.json");
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}
