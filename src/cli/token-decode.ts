import type { Command } from "commander";
import { decodeToken } from "../jwt/decode.js";
import { CommandFailure } from "./failure.js";
import { printableJson } from "./json-output.js";
import { readStandardInput } from "./standard-input.js";

/** Adds `cello token decode`: what a token says about itself, with a clear word that nothing was verified. */
export function addTokenDecodeCommand(parent: Command): void {
  parent
    .command("decode")
    .summary("show what a token says, without verifying it")
    .description("Prints the header and the claims of a token. Nothing is verified: anybody can write such a token.")
    .argument("[token]", "the token; without it, it is read from standard input")
    .addHelpText(
      "after",
      `
Examples:
  $ cello token decode < token.txt
  $ cello token decode "$TOKEN" 2>/dev/null | jq .claims.exp`,
    )
    .action(decode);
}

async function decode(given: string | undefined): Promise<void> {
  const token = given ?? (await readStandardInput("the token", "give it as an argument or pipe it in"));
  const decoded = decodeToken(token.trim());
  if (decoded === undefined) {
    throw new CommandFailure("not a JWT: three parts of canonical base64url with a strict JSON header and payload");
  }
  process.stderr.write('Nothing was verified: do not trust this before "cello token verify" has accepted it.\n');
  process.stdout.write(`${printableJson({ header: decoded.header, claims: decoded.claims })}\n`);
}
