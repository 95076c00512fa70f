import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { CommandIo } from "./io.js";
import { wholeNumber } from "./options.js";

// 128 bits is the least that cannot be guessed; more than 1024 bytes make no secret safer.
const leastBytes = 16;
const mostBytes = 1024;

/** Adds `cello secret`: random bytes as base64url text, for `JwtConfig.secret` or `SessionConfig.secret`. */
export function addSecretCommand(parent: Command, io: CommandIo): void {
  parent
    .command("secret")
    .summary("print a random secret")
    .description("Prints a random secret as base64url text, fit for JwtConfig and SessionConfig.")
    .option("--bytes <number>", "random bytes (HS384 wants 48, HS512 wants 64)", wholeNumber(leastBytes, mostBytes), 32)
    .addHelpText(
      "after",
      `
Examples:
  $ cello secret
  $ cello secret --bytes 64
  $ echo "JWT_SECRET=$(cello secret)" >> .env`,
    )
    .action((options: { bytes: number }) => {
      io.stdout.write(`${randomBytes(options.bytes).toString("base64url")}\n`);
    });
}
