import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../", import.meta.url));

/** A fenced code block of a page, and what the comments before it say about it. */
export interface CodeBlock {
  /** File and line, as an editor opens it: `docs/jwt.md:12`. */
  readonly place: string;
  readonly language: string;
  /** The words behind the language, such as `no-run`. */
  readonly flags: readonly string[];
  /** HTML comments that stand directly before the block, such as `continues`. */
  readonly markers: readonly string[];
  readonly text: string;
}

/** One page of the documentation. */
export interface Page {
  /** Its path from the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly CodeBlock[];
}

/** The pages whose code is held to work: the README and everything in `docs/`. */
export function readPages(): readonly Page[] {
  const docs = readdirSync(join(repository, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(repository, "docs", file));
  return [join(repository, "README.md"), ...docs.sort()].map((file) => {
    const path = relative(repository, file).replaceAll("\\", "/");
    const text = readFileSync(file, "utf8");
    return { path, text, blocks: readBlocks(path, text) };
  });
}

/** The fenced blocks of a Markdown text (CommonMark section 4.5), without indentation. */
export function readBlocks(path: string, text: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = text.split("\n");
  let markers: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const fence = /^ *(`{3,})(.*)$/.exec(line);
    if (fence === null) {
      const comment = /^<!-- *(.*?) *-->$/.exec(line.trim());
      if (comment?.[1] !== undefined) markers.push(comment[1]);
      else if (line.trim() !== "") markers = [];
      continue;
    }
    const [language = "", ...flags] = (fence[2] ?? "").trim().split(/\s+/);
    const indentation = line.indexOf("`");
    const end = lines.findIndex((other, at) => at > index && other.trim() === fence[1]);
    if (end === -1) throw new Error(`${path}:${index + 1}: this code block has no end`);
    const code = lines.slice(index + 1, end).map((codeLine) => codeLine.slice(indentation));
    blocks.push({ place: `${path}:${index + 1}`, language, flags, markers, text: code.join("\n") });
    markers = [];
    index = end;
  }
  return blocks;
}
