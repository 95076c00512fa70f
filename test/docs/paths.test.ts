import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(repository, path), "utf8");
const filesOf = (folder: string) => readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" });
describe("the map in CONTRIBUTING.md", () => {
  const map = /## The map\s+```\n([\s\S]*?)```/.exec(read("CONTRIBUTING.md"))?.[1] ?? "";
  const written = map.replace(/hosts\/\{([\w,]+)\}/g, (_, names: string) =>
    names
      .split(",")
      .map((name) => `hosts/${name}/`)
      .join(" "),
  );
  const named = [...written.matchAll(/(?<=\s)([\w/-]+?)\/?(?=\s)/g)].flatMap(([, name = ""]) =>
    existsSync(join(repository, "src", name)) ? [name] : [],
  );

  it("names every folder of src", () => {
    // Of folders in folders, those of the hosts: each is a layer.
    const folders = new Set(filesOf("src").flatMap((file) => /^(hosts\/[\w-]+|[\w-]+)\/.*\.ts$/.exec(file)?.[1] ?? []));
    expect(folders.size).toBeGreaterThan(10);
    expect([...folders].filter((folder) => !named.includes(folder))).toEqual([]);
  });

  it("names no folder that is gone", () => {
    const folders = [...written.matchAll(/(?<=\s)([\w/-]+)\/(?=\s)/g)].map(([, name = ""]) => name);
    expect(folders.filter((folder) => !existsSync(join(repository, "src", folder)))).toEqual([]);
  });
});

describe("paths in the documents", () => {
  const documents = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ...filesOf("docs").flatMap((file) => (file.endsWith(".md") ? [`docs/${file}`] : [])),
  ];
  const known = ["src", "test", "bench", "lab", "scripts", "examples"].flatMap((folder) =>
    filesOf(folder).flatMap((file) => (file.includes("node_modules") ? [] : [basename(file)])),
  );
  known.push(...readdirSync(repository));

  it.each(documents)("lead to files that are there: %s", (document) => {
    const quoted = [...read(document).matchAll(/`([\w./-]+)`/g)].map(([, text = ""]) => text);
    const paths = quoted.filter((text) => /^(src|test|bench|lab|scripts|examples|docs)\/./.test(text));
    const files = quoted.filter((text) => /^[\w.-]+\.(ts|mjs)$/.test(text));
    const placeholder = /your-|NNN/;
    expect([
      ...paths.filter((path) => !placeholder.test(path) && !existsSync(join(repository, path))),
      ...files.filter((file) => !placeholder.test(file) && !known.includes(file)),
    ]).toEqual([]);
  });
});
