#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { CommandFailure, type CommandIo, exitCodes } from "./io.js";
import { addKeygenCommand } from "./keygen.js";
import { addSecretCommand } from "./secret.js";
import { addTokenCommands } from "./token.js";

const load = createRequire(import.meta.url);

if (isProgram()) {
  // A reader that closes the pipe early ("cello keygen ES256 | head -1") is no failure of ours.
  process.stdout.on("error", () => undefined);
  // Warnings (of a short secret) look like ours, without Node's process id and advice.
  process.removeAllListeners("warning");
  process.on("warning", ({ message }) => process.stderr.write(`warning: ${message}\n`));
  process.exitCode = await run(process.argv.slice(2), process);
}

/**
 * Parses the command line, runs the command, and turns every failure into one line and an exit code.
 *
 * @param argv what follows `cello`: `["token", "decode"]`
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    await program(io).parseAsync([...argv], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // commander has already printed the help or the message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    io.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof CommandFailure ? error.exitCode : exitCodes.failed;
  }
}

/** Whether Node was started with this file, by its path or by the link to it that npm makes, and not another. */
function isProgram(): boolean {
  const [, started = ""] = process.argv;
  try {
    return load.resolve(started) === load.resolve(import.meta.filename);
  } catch {
    return false; // "node -e" has its first argument there
  }
}

function program(io: CommandIo): Command {
  const cello = new Command("cello")
    .description("Secrets, keys and tokens for an app that Cello protects.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
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
  addSecretCommand(cello, io);
  addKeygenCommand(cello, io);
  addTokenCommands(cello, io);
  return cello;
}

function packageVersion(): string {
  // Our own manifest: what stands there is known.
  return (load("../../package.json") as { version: string }).version;
}
