import { generateKeyPairSync, type JsonWebKey, randomBytes } from "node:crypto";
import { Argument, type Command, Option } from "commander";
import { calculateJwkThumbprint } from "jose";
import {
  ALGORITHM_NAMES,
  ALGORITHMS,
  type Algorithm,
  type AlgorithmName,
  type HmacAlgorithm,
} from "../jws/algorithms.js";
import type { CommandIo } from "./io.js";
import { isPrivate, type KeyDocument, writeKeyFiles } from "./key-files.js";
import { wholeNumber } from "./options.js";

interface KeygenOptions {
  readonly out?: string;
  readonly kid?: string;
  readonly bits: number;
  readonly format: "pem" | "jwk" | "both";
  readonly force: boolean;
}

/** Adds `cello keygen`: a key pair (or an HMAC secret) as PEM and JWK, to files or to standard output. */
export function addKeygenCommand(parent: Command, io: CommandIo): void {
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
    .action(async (algorithm: AlgorithmName, options: KeygenOptions) => {
      io.stdout.write(await keygen(algorithm, options));
    });
}

/** Makes the key, writes the files that were asked for, and returns what to print. */
async function keygen(algorithm: AlgorithmName, { out, kid, bits, format, force }: KeygenOptions): Promise<string> {
  const forms = await generateKey(algorithm, kid, bits);
  const documents = forms.filter(
    ({ suffix }) => format === "both" || suffix.endsWith(".jwk.json") === (format === "jwk"),
  );
  if (out === undefined) return documents.map(({ text }) => text).join("");
  return writeKeyFiles(out, algorithm.toLowerCase(), documents, force)
    .map((file) => `${file.path}${isPrivate(file) ? "  (private, keep it secret)" : ""}\n`)
    .join("");
}

/** A new key in every form that is usual for its algorithm. */
async function generateKey(name: AlgorithmName, kid: string | undefined, bits: number): Promise<KeyDocument[]> {
  const algorithm = ALGORITHMS[name];
  if (algorithm.kind === "hmac") return generateSecret(algorithm, kid);
  const { privateKey, publicKey } = generatePair(algorithm, bits);
  const publicJwk = publicKey.export({ format: "jwk" });
  const labels = { use: "sig", alg: name, kid: kid ?? (await thumbprint(publicJwk)) };
  return [
    { suffix: "private.pem", text: privateKey.export({ format: "pem", type: "pkcs8" }).toString() },
    { suffix: "public.pem", text: publicKey.export({ format: "pem", type: "spki" }).toString() },
    { suffix: "private.jwk.json", text: jwkText({ ...privateKey.export({ format: "jwk" }), ...labels }) },
    { suffix: "public.jwk.json", text: jwkText({ ...publicJwk, ...labels }) },
  ];
}

/**
 * The secret as text and as JWK are the same key: `JwtConfig` takes a text secret as its UTF-8
 * bytes, so the JWK's `k` encodes the text and not the random bytes under it.
 */
function generateSecret({ name, keyBytes }: HmacAlgorithm, kid: string | undefined): KeyDocument[] {
  const text = randomBytes(keyBytes).toString("base64url");
  // No thumbprint: it would be a hash of the secret, and a kid is public (RFC 7638 section 7).
  const labels = { use: "sig", alg: name, kid: kid ?? randomBytes(9).toString("base64url") };
  const jwk = { kty: "oct", k: Buffer.from(text, "utf8").toString("base64url"), ...labels };
  return [
    { suffix: "secret.txt", text: `${text}\n` },
    { suffix: "secret.jwk.json", text: jwkText(jwk) },
  ];
}

function generatePair(algorithm: Exclude<Algorithm, HmacAlgorithm>, bits: number) {
  switch (algorithm.kind) {
    case "eddsa":
      return generateKeyPairSync("ed25519");
    case "ecdsa":
      return generateKeyPairSync("ec", { namedCurve: algorithm.namedCurve });
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: bits });
  }
}

function jwkText(jwk: JsonWebKey): string {
  return `${JSON.stringify(jwk, null, 2)}\n`;
}

/** RFC 7638: the same key always gets the same name. */
async function thumbprint({ kty, crv, x, y, n, e }: JsonWebKey): Promise<string> {
  return calculateJwkThumbprint(Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, v]) => v)));
}
