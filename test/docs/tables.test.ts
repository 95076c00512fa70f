import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CorsConfig, CsrfConfig, JwtConfig, RateLimitConfig, SecurityHeadersConfig, SessionConfig } from "cello";
import { describe, expect, it } from "vitest";
import { readPages, repository } from "./documents.js";

const SECRET = "a secret of more than thirty-two bytes, for tests";
const pages = new Map(readPages().map((page) => [page.path, page.text]));

/** A table row: the names in its first cell, and the text of the others. */
interface Row {
  readonly names: readonly string[];
  readonly cells: readonly string[];
}

/** The rows of the tables whose first column is called `field` or `package`. */
function tableRows(path: string, column: string): readonly Row[] {
  const rows: Row[] = [];
  let isInside = false;
  for (const line of (pages.get(path) ?? "").split("\n")) {
    const cells = line.startsWith("|") ? line.split("|").slice(1, -1) : [];
    if (cells.length === 0) isInside = false;
    else if (cells[0]?.trim() === column) isInside = true;
    else if (isInside && !line.startsWith("|---")) {
      const names = [...(cells[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      rows.push({ names, cells: cells.slice(1).map((cell) => cell.trim()) });
    }
  }
  return rows;
}

/** Names that stand in no table of options: they are how the class keeps what was given. */
const INSIDE = new Set(["excludedPaths", "healthCheckPaths", "algorithm"]);

const tokenBucket = RateLimitConfig.tokenBucket({ requests: 1, window: 1 });
const adaptive = RateLimitConfig.adaptive({ baseRequests: 1000, window: 1 });

describe.each([
  ["docs/jwt.md", [new JwtConfig({ secret: SECRET })], ["secret", "algorithm"]],
  ["docs/cors.md", [new CorsConfig({ origins: "*" })], []],
  ["docs/sessions.md", [new SessionConfig({ secret: SECRET })], ["secret"]],
  ["docs/headers-and-csp.md", [new SecurityHeadersConfig()], []],
  // Of the class App.
  ["docs/rate-limits.md", [tokenBucket, adaptive], ["trustProxy", "ipv6Prefix"]],
] as const)("the option tables of %s", (path, configs, further) => {
  const rows = tableRows(path, "field");
  const documented = rows.flatMap((row) => row.names);

  it("have every field of the class, and no other", () => {
    const fields = configs.flatMap((config) => Object.keys(config)).filter((field) => !INSIDE.has(field));
    expect([...new Set(documented)].sort()).toEqual([...new Set([...fields, ...further])].sort());
  });

  it("tell the defaults as they are", () => {
    const wrong = rows.flatMap(({ names, cells }) => {
      const told = /^`([^`]+)`$/.exec(cells[1] ?? "")?.[1];
      const config = configs.find((candidate) => fieldOf(candidate, names[0]) !== undefined);
      if (told === undefined || config === undefined) return [];
      const actual = JSON.stringify(fieldOf(config, names[0]));
      return actual === JSON.stringify(JSON.parse(told)) ? [] : [`${names[0]}: ${told} is told, ${actual} is so`];
    });
    expect(wrong).toEqual([]);
  });
});

describe("the option table of docs/fleet.md", () => {
  it("has every option of RedisStore, and no other", () => {
    const source = readFileSync(join(repository, "src/redis/options.ts"), "utf8");
    const [, body = ""] = /interface RedisStoreOptions \{(.*?)\n\}/s.exec(source) ?? [];
    const options = [...body.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name = ""]) => name);
    const documented = tableRows("docs/fleet.md", "field").flatMap((row) => row.names);
    expect(options.length).toBeGreaterThan(5);
    expect(documented.sort()).toEqual(options.sort());
  });
});

describe("the README", () => {
  const readme = pages.get("README.md") ?? "";

  it("says of every runtime dependency why it is there, and of no other", () => {
    const manifest: unknown = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    const packages = tableRows("README.md", "package").flatMap((row) => row.names);
    expect(packages.sort()).toEqual(Object.keys(Object(fieldOf(manifest, "dependencies"))).sort());
  });

  it("has every code of errors and warnings that the sources have", () => {
    expect([...codesInSources()].filter((code) => !readme.includes(code))).toEqual([]);
  });

  it("has every event and every reason for which a token or session is rejected", () => {
    const source = readFileSync(join(repository, "src/core/events.ts"), "utf8");
    const names = [...source.matchAll(/^ {2}"([a-z]+\.[a-z]+)"|^ {2}\| "([a-z_]+)"/gm)].map(
      (match) => match[1] ?? match[2],
    );
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  it("has the field of CsrfConfig", () => {
    for (const field of Object.keys(new CsrfConfig())) expect(readme).toContain(field);
  });
});

function codesInSources(): ReadonlySet<string> {
  const folder = join(repository, "src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  return new Set(
    files.flatMap((file) => readFileSync(join(folder, file), "utf8").match(/(?<=")CELLO_[A-Z_]+(?=")/g) ?? []),
  );
}

function fieldOf(value: unknown, name: string | undefined): unknown {
  return typeof value === "object" && value !== null && name !== undefined ? Reflect.get(value, name) : undefined;
}
