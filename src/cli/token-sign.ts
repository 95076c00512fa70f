import type { Command } from "commander";
import type { JsonObject } from "../jws/json.js";
import { Jwt } from "../jwt/jwt.js";
import { type ClaimPair, collectClaim, mergeClaims, parseClaims, parseDuration } from "./claims-input.js";
import { addKeySourceOptions, type KeySourceOptions, keySourceHelp, readKey } from "./key-source.js";

interface TokenSignOptions extends KeySourceOptions {
  readonly subject?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly claim: readonly ClaimPair[];
  readonly json: JsonObject;
  readonly expiresIn: number;
  readonly jti: boolean;
  readonly typ?: string;
}

const noClaims: readonly ClaimPair[] = [];
const emptyObject: JsonObject = {};

/** Adds `cello token sign`: a signed token on standard output. */
export function addTokenSignCommand(parent: Command): void {
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
    .action(signToken);
}

async function signToken(options: TokenSignOptions): Promise<void> {
  const claims = mergeClaims(options.json, options.claim, options.subject);
  const { secret, algorithm } = await readKey(options);
  const { issuer, audience, typ, jti } = options;
  const jwt = new Jwt({ secret, algorithm, issuer, audience, typ, expiration: options.expiresIn });
  process.stdout.write(`${jwt.sign(claims, { jti })}\n`);
}
