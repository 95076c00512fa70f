import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CommandFailure } from "./io.js";

/** One form of a key: its text, and what follows the prefix in the file name, for example `private.pem`. */
export interface KeyDocument {
  readonly suffix: string;
  readonly text: string;
}

type KeyFile = KeyDocument & { readonly path: string };

/** Whether a form of a key must be kept from others: all do, but for a public key. */
export function isPrivate({ suffix }: KeyDocument): boolean {
  return !suffix.startsWith("public.");
}

/**
 * Writes the forms of a key beside each other: all of them or none.
 *
 * @param out a folder (it exists, or ends in a slash), or the beginning of the file names
 * @param name the beginning of the file names inside a folder
 * @param overwrite whether files that exist are replaced
 */
export function writeKeyFiles(
  out: string,
  name: string,
  documents: readonly KeyDocument[],
  overwrite: boolean,
): readonly KeyFile[] {
  const prefix = isFolder(out) ? join(out, name) : out;
  const files = documents.map((document) => ({ ...document, path: `${prefix}.${document.suffix}` }));
  const taken = files.find((file) => existsSync(file.path));
  if (taken !== undefined && !overwrite) {
    throw new CommandFailure(`${taken.path} exists; nothing was written (--force overwrites)`);
  }
  // A new folder is for keys alone: its owner is the only one who needs to look into it.
  mkdirSync(dirname(prefix), { recursive: true, mode: 0o700 });
  if (overwrite) replaceAll(files);
  else createAll(files);
  return files;
}

/** The mode holds from the first byte on, and a link that an attacker put in the way is not followed ("wx"). */
function createAll(files: readonly KeyFile[]): void {
  const written: string[] = [];
  try {
    for (const file of files) {
      writeFileSync(file.path, file.text, { mode: isPrivate(file) ? 0o600 : 0o644, flag: "wx" });
      written.push(file.path);
    }
  } catch (error) {
    // Half a key pair would be taken for a whole one.
    for (const path of written) rmSync(path, { force: true });
    throw error;
  }
}

/** The old files go only when all new ones are on the disk; a loose mode of an old file is not inherited. */
function replaceAll(files: readonly KeyFile[]): void {
  const staged = files.map((file) => {
    return { ...file, path: join(dirname(file.path), `.${basename(file.path)}.${process.pid}.tmp`), target: file.path };
  });
  createAll(staged);
  for (const { path, target } of staged) renameSync(path, target);
}

function isFolder(path: string): boolean {
  return /[/\\]$/.test(path) || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
