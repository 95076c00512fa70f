import { Argument, type Command, Option } from "commander";
import { ALGORITHM_NAMES, type AlgorithmName } from "../jws/algorithms.js";
import { wholeNumber } from "./failure.js";
import { writeKeyFiles } from "./key-files.js";
import { generateKeyDocuments, type KeyDocument } from "./key-material.js";

interface KeygenOptions {
  readonly out?: string;
  readonly kid?: string;
  readonly bits: number;
  readonly format: "pem" | "jwk" | "both";
  readonly force: boolean;
}

/** Adds `cello keygen`: a key pair (or an HMAC secret) as PEM and JWK, to files or to standard output. */
export function addKeygenCommand(parent: Command): void {
  parent
    .command("keygen")
    .summary("make a key pair or an HMAC secret, as PEM and JWK")
    .description(
      "Makes a new key for an algorithm: PKCS#8 and SPKI PEM and JWKs for key pairs, text and JWK for HMAC secrets.",
    )
    .addArgument(new Argument("<algorithm>", "the JWS algorithm that the key is for").choices(ALGORITHM_NAMES))
    .option("--out <path>", "a folder, or the beginning of the file names; without it the key is printed")
    .option("--kid <id>", "the key's id (default: its RFC 7638 thumbprint; random for HMAC)")
    .option("--bits <number>", "size of an RSA key", wholeNumber(2048, 8192), 3072)
    .addOption(new Option("--format <format>", "which forms").choices(["pem", "jwk", "both"]).default("both"))
    .option("--force", "overwrite files that exist", false)
    .addHelpText(
      "after",
      `
Files with private keys and secrets get mode 0600. Nothing is overwritten without --force.

Examples:
  $ cello keygen ES256 --out keys/             keys/es256.private.pem, keys/es256.public.pem and the same as .jwk.json
  $ cello keygen EdDSA --out keys/2026-signing keys/2026-signing.private.pem, ...
  $ cello keygen RS256 --bits 4096 --kid 2026 --out keys/
  $ cello keygen ES256 --format jwk            the private and the public JWK on standard output`,
    )
    .action(keygen);
}

async function keygen(algorithm: AlgorithmName, options: KeygenOptions): Promise<void> {
  const documents = (await generateKeyDocuments(algorithm, { kid: options.kid, bits: options.bits })).filter(
    (document) => options.format === "both" || document.format === options.format,
  );
  if (options.out === undefined) {
    process.stdout.write(documents.map((document: KeyDocument) => document.text).join(""));
    return;
  }
  const files = writeKeyFiles(options.out, algorithm.toLowerCase(), documents, options.force);
  for (const file of files) {
    process.stdout.write(`${file.path}${file.isPrivate ? "  (private, keep it secret)" : ""}\n`);
  }
}
