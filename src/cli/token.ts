import type { Command } from "commander";
import type { JsonObject } from "../core/json.js";
import { decodeToken } from "../jwt/decode.js";
import { TokenError } from "../jwt/errors.js";
import { Jwt } from "../jwt/jwt.js";
import { CommandFailure, type CommandIo, printableJson, readStandardInput, usageFailure } from "./io.js";
import { addKeySourceOptions, type KeySourceOptions, keySourceHelp, namesKey, readKey } from "./keys.js";
import { type ClaimPair, collectClaim, mergeClaims, parseClaims, parseDuration, wholeNumber } from "./options.js";

interface SignOptions extends KeySourceOptions {
  readonly subject?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly claim: readonly ClaimPair[];
  readonly json: JsonObject;
  readonly expiresIn: number;
  readonly jti: boolean;
  readonly typ?: string;
}

interface VerifyOptions extends KeySourceOptions {
  readonly issuer?: string;
  readonly audience?: string;
  readonly typ?: string;
  readonly clockTolerance: number;
  readonly allowNoExpiration: boolean;
}

/** Adds `cello token sign`, `cello token verify` and `cello token decode`. */
export function addTokenCommands(parent: Command, io: CommandIo): void {
  const token = parent.command("token").description("sign, verify or look into a token");
  addSign(token, io);
  addVerify(token, io);
  addDecode(token, io);
}

function addSign(parent: Command, io: CommandIo): void {
  const noClaims: readonly ClaimPair[] = [];
  const emptyObject: JsonObject = {};
  const command = parent
    .command("sign")
    .summary("sign a token")
    .description("Signs a token with the given claims, iat and exp, and prints it.");
  addKeySourceOptions(command)
    .option("--subject <sub>", "the sub claim")
    .option("--issuer <iss>", "the iss claim")
    .option("--audience <aud>", "the aud claim")
    .option("--claim <name=value>", "a claim that is text; may be given several times", collectClaim, noClaims)
    .option("--json <object>", "claims of any type, as a JSON object", parseClaims, emptyObject)
    .option("--expires-in <duration>", "seconds, or a number with s, m, h or d", parseDuration, 3600)
    .option("--jti", "add a random jti, so that the token can be revoked", false)
    .option("--typ <typ>", 'the typ of the header (default: "JWT")')
    .addHelpText(
      "after",
      `
${keySourceHelp}

Examples:
  $ cello token sign --secret-env JWT_SECRET --subject u1 --expires-in 15m
  $ cello token sign --key-file keys/es256.private.jwk.json --json '{"sub":"u1","roles":["admin"]}'
  $ cello token sign --subject u1 --claim tenant=acme < secret.txt`,
    )
    .action((options: SignOptions) => sign(options, io));
}

async function sign(options: SignOptions, io: CommandIo): Promise<void> {
  const claims = mergeClaims(options.json, options.claim, options.subject);
  const key = await readKey(options, io);
  const { issuer, audience, typ, jti } = options;
  const jwt = new Jwt({ ...key, issuer, audience, typ, expiration: options.expiresIn });
  io.stdout.write(`${jwt.sign(claims, { jti })}\n`);
}

function addVerify(parent: Command, io: CommandIo): void {
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
    .action((token: string | undefined, options: VerifyOptions) => verify(token, options, io));
}

async function verify(given: string | undefined, options: VerifyOptions, io: CommandIo): Promise<void> {
  if (given === undefined && !namesKey(options)) {
    throw usageFailure("the key is missing: give --key-file or --secret-env (standard input is for the token then)");
  }
  const token = given ?? (await readToken(io));
  const key = await readKey(options, io);
  const { issuer, audience, typ, clockTolerance } = options;
  const requireExpiration = !options.allowNoExpiration;
  const jwt = new Jwt({ ...key, issuer, audience, typ, clockTolerance, requireExpiration, cacheSize: 0 });
  try {
    io.stdout.write(`${printableJson(jwt.verify(token.trim()))}\n`);
  } catch (error) {
    throw error instanceof TokenError ? new CommandFailure(`${error.message} (${error.code})`) : error;
  }
}

function addDecode(parent: Command, io: CommandIo): void {
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
    .action((token: string | undefined) => decode(token, io));
}

async function decode(given: string | undefined, io: CommandIo): Promise<void> {
  const decoded = decodeToken((given ?? (await readToken(io))).trim());
  if (decoded === undefined) {
    throw new CommandFailure("not a JWT: three parts of canonical base64url with a strict JSON header and payload");
  }
  io.stderr.write('Nothing was verified: do not trust this before "cello token verify" has accepted it.\n');
  io.stdout.write(`${printableJson({ header: decoded.header, claims: decoded.claims })}\n`);
}

function readToken(io: CommandIo): Promise<string> {
  return readStandardInput(io, "the token", "give it as an argument or pipe it in");
}
