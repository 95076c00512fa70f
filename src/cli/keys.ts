import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { isJsonObject, type JsonObject } from "../core/json.js";
import { ALGORITHM_NAMES, ALGORITHMS, type AlgorithmName, isAlgorithmName } from "../jws/algorithms.js";
import { CommandFailure, type CommandIo, readStandardInput, usageFailure, withoutLineEnd } from "./io.js";

/** The options that say where a key is. There is none for the key itself: `ps` and shell histories show those. */
export interface KeySourceOptions {
  readonly keyFile?: string;
  readonly secretEnv?: string;
  readonly algorithm?: AlgorithmName;
}

/** A key or secret, the algorithm to use it with, and whether a weak secret is refused: what `Jwt` takes. */
interface SourcedKey {
  readonly secret: string | JsonObject;
  readonly algorithm: AlgorithmName;
  readonly strict: boolean;
}

export const keySourceHelp = `The key is a secret, PEM or JWK and comes from --key-file, --secret-env or standard input,
never from the command line, where other users and the shell's history would see it.`;

export function addKeySourceOptions(command: Command): Command {
  return command
    .addOption(new Option("--key-file <file>", "read the secret, PEM or JWK from a file").conflicts("secretEnv"))
    .option("--secret-env <name>", "read the secret, PEM or JWK from this environment variable")
    .addOption(new Option("--algorithm <name>", "default: the key's own, HS256 for a secret").choices(ALGORITHM_NAMES));
}

/** An option names the key, so that standard input is free for the token. */
export function namesKey(options: KeySourceOptions): boolean {
  return options.keyFile !== undefined || options.secretEnv !== undefined;
}

/**
 * Reads the key from where the options say, else from standard input.
 *
 * @throws CommandFailure
 */
export async function readKey(options: KeySourceOptions, io: CommandIo): Promise<SourcedKey> {
  const text = await readKeyText(options, io);
  const secret = parseKeyText(text);
  const algorithm = options.algorithm ?? algorithmFor(secret);
  return { secret, algorithm, strict: io.env.NODE_ENV === "production" };
}

async function readKeyText({ keyFile, secretEnv }: KeySourceOptions, io: CommandIo): Promise<string> {
  if (keyFile !== undefined) return withoutLineEnd(readFileSync(keyFile, "utf8"));
  if (secretEnv === undefined)
    return readStandardInput(io, "the key", "give --key-file or --secret-env, or pipe it in");
  const value = io.env[secretEnv];
  if (value === undefined || value === "") {
    throw new CommandFailure(`the environment variable ${JSON.stringify(secretEnv)} is not set`);
  }
  return value;
}

/** A JWK as an object; everything else as it is. */
function parseKeyText(text: string): string | JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isJsonObject(value)) return text;
  if (typeof value.kty === "string") return value;
  // Taken for a secret, a published JWK Set would let everybody sign.
  throw new CommandFailure('the key is JSON and not a JWK (it has no "kty"); of a JWK Set give one of its keys');
}

function algorithmFor(secret: string | JsonObject): AlgorithmName {
  if (typeof secret === "string" && !secret.includes("-----BEGIN ")) return "HS256";
  if (typeof secret === "object" && secret.alg !== undefined) {
    if (isAlgorithmName(secret.alg)) return secret.alg;
    throw new CommandFailure('the "alg" of the JWK is not a supported signature algorithm');
  }
  if (typeof secret === "object" && secret.kty === "oct") return "HS256";
  const algorithm = algorithmOfKey(toKeyObject(secret));
  if (algorithm === undefined) {
    throw usageFailure("the key fits several algorithms or none; name one with --algorithm, for example RS256");
  }
  return algorithm;
}

/** The algorithm that a key pair is for, where the key itself leaves no choice; RSA leaves six. */
function algorithmOfKey(key: KeyObject): AlgorithmName | undefined {
  const type = key.asymmetricKeyType;
  if (type === "ed25519" || type === "ed448") return "EdDSA";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return ALGORITHM_NAMES.find((name) => {
    const algorithm = ALGORITHMS[name];
    return algorithm.kind === "ecdsa" && algorithm.namedCurve === curve;
  });
}

function toKeyObject(key: string | JsonObject): KeyObject {
  try {
    if (typeof key === "object") return createPublicKey({ key: { ...key }, format: "jwk" });
    return key.includes("PRIVATE KEY") ? createPrivateKey(key) : createPublicKey(key);
  } catch {
    throw new CommandFailure("the key cannot be read; give an unencrypted PEM or a JWK");
  }
}
