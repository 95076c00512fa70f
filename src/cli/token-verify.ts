import type { Command } from "commander";
import { Jwt } from "../jwt/jwt.js";
import { TokenError } from "../jwt/token-error.js";
import { CommandFailure, usageFailure, wholeNumber } from "./failure.js";
import { printableJson } from "./json-output.js";
import { addKeySourceOptions, type KeySourceOptions, keySourceHelp, namesKey, readKey } from "./key-source.js";
import { readStandardInput } from "./standard-input.js";

interface TokenVerifyOptions extends KeySourceOptions {
  readonly issuer?: string;
  readonly audience?: string;
  readonly typ?: string;
  readonly clockTolerance: number;
  readonly allowNoExpiration: boolean;
}

/** Adds `cello token verify`: the claims of a good token, or the reason why it is refused. */
export function addTokenVerifyCommand(parent: Command): void {
  const command = parent
    .command("verify")
    .summary("verify a token and print its claims")
    .description("Verifies a token as an app would and prints its claims; exit code 1 when it is refused.")
    .argument("[token]", "the token; without it, it is read from standard input");
  addKeySourceOptions(command)
    .option("--issuer <iss>", "the iss that the token must have")
    .option("--audience <aud>", "the aud that the token must name")
    .option("--typ <typ>", "the typ that the header must have")
    .option("--clock-tolerance <seconds>", "leeway for exp, nbf and iat", wholeNumber(0, 86_400), 0)
    .option("--allow-no-expiration", "accept a token without exp", false)
    .addHelpText(
      "after",
      `
${keySourceHelp}
The token may come from standard input too, but not both.

Examples:
  $ cello token verify --secret-env JWT_SECRET < token.txt
  $ cello token verify --key-file keys/es256.public.pem --issuer https://login.example "$TOKEN"`,
    )
    .action(verifyToken);
}

async function verifyToken(given: string | undefined, options: TokenVerifyOptions): Promise<void> {
  if (given === undefined && !namesKey(options)) {
    throw usageFailure("the key is missing: give --key-file or --secret-env (standard input is for the token then)");
  }
  const token = given ?? (await readStandardInput("the token", "give it as an argument or pipe it in"));
  const { secret, algorithm } = await readKey(options);
  const { issuer, audience, typ, clockTolerance } = options;
  const requireExpiration = !options.allowNoExpiration;
  const jwt = new Jwt({ secret, algorithm, issuer, audience, typ, clockTolerance, requireExpiration, cacheSize: 0 });
  try {
    process.stdout.write(`${printableJson(jwt.verify(token.trim()))}\n`);
  } catch (error) {
    throw error instanceof TokenError ? new CommandFailure(`${error.message} (${error.code})`) : error;
  }
}
