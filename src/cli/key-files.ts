import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CommandFailure } from "./failure.js";
import type { KeyDocument } from "./key-material.js";

const privateMode = 0o600;
const publicMode = 0o644;

/** A file that was written. */
export interface KeyFile {
  readonly path: string;
  readonly isPrivate: boolean;
}

type NewFile = KeyFile & { readonly text: string };

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
): KeyFile[] {
  const prefix = isFolder(out) ? join(out, name) : out;
  const files = documents.map((document) => ({ ...document, path: `${prefix}.${document.suffix}` }));
  const taken = files.find((file) => existsSync(file.path));
  if (taken !== undefined && !overwrite) {
    throw new CommandFailure(`${taken.path} exists; nothing was written (--force overwrites)`);
  }
  // A new folder is for keys alone: nobody else needs to look into it.
  mkdirSync(dirname(prefix), { recursive: true, mode: 0o700 });
  if (overwrite) replaceAll(files);
  else createAll(files);
  return files.map(({ path, isPrivate }) => ({ path, isPrivate }));
}

/** The mode holds from the first byte on, and a link that somebody put in our way is not followed ("wx"). */
function createAll(files: readonly NewFile[]): void {
  const written: string[] = [];
  try {
    for (const file of files) {
      writeFileSync(file.path, file.text, { mode: file.isPrivate ? privateMode : publicMode, flag: "wx" });
      written.push(file.path);
    }
  } catch (error) {
    // Half a key pair would be taken for a whole one.
    for (const path of written) rmSync(path, { force: true });
    throw error;
  }
}

/** The old files go only when all new ones are on the disk; a loose mode of an old file is not inherited. */
function replaceAll(files: readonly NewFile[]): void {
  const staged = files.map((file) => {
    return { ...file, path: join(dirname(file.path), `.${basename(file.path)}.${process.pid}.tmp`), target: file.path };
  });
  createAll(staged);
  for (const { path, target } of staged) renameSync(path, target);
}

function isFolder(path: string): boolean {
  return /[/\\]$/.test(path) || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
