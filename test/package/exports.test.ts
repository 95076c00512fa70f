import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../", import.meta.url));
const compiler = join(repository, "node_modules/typescript/bin/tsc");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const manifest = readManifest();
/** What a user writes after `from`: cello, cello/jws and so on. */
const subpaths = Object.keys(manifest.exports).filter((key) => !key.endsWith(".json"));
const specifiers = subpaths.map((key) => key.replace(/^\./, manifest.name));
/** Names that users rely on, by entry. */
const promised: Readonly<Record<string, readonly string[]>> = {
  cello: [
    ...["App", "Security", "Jwt", "CSP", "MemorySessionStore"],
    ...["JwtConfig", "SessionConfig", "SecurityHeadersConfig", "RateLimitConfig"],
    ...["ConfigError", "TokenError", "SessionTooLargeError", "StoreUnavailableError"],
  ],
  "cello/jws": ["signCompact", "verifyCompact", "JwsError"],
  "cello/fastify": ["cello"],
  "cello/express": ["cello"],
  "cello/hono": ["cello"],
  "cello/fetch": ["secure"],
  "cello/redis": ["RedisStore", "RedisSessionStore"],
  "cello/metrics": ["recordMetrics"],
  "cello/testing": ["rateLimitStoreContract", "sessionStoreContract", "revocationListContract", "replayStoreContract"],
};

let work: string;
let consumer: string;

describe("the packed package, installed in an empty project", () => {
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "cello-package-"));
    consumer = join(work, "consumer");
    mkdirSync(consumer);
    const tarball = await pack(join(work, "staging"));
    writeJson("package.json", { name: "consumer", private: true, type: "module" });
    // The hosts and @types/node are what a TypeScript user of the adapters has of his own.
    const own = ["@types/node", ...Object.keys(manifest.peerDependencies ?? {})];
    const versions = own.map((name) => `${name}@${manifest.devDependencies[name] ?? "*"}`);
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball, ...versions], {
      cwd: consumer,
    });
  }, 180_000);

  afterAll(() => {
    rmSync(work, { recursive: true, force: true });
  });

  it("holds the compiled code, its types and the papers, and no source, test or secret", () => {
    const files = readdirSync(join(consumer, "node_modules/cello"), { recursive: true, encoding: "utf8" });
    for (const file of ["LICENSE", "SECURITY.md", "package.json", "dist/index.js", "dist/index.d.ts"]) {
      expect(files).toContain(file);
    }
    expect(files.filter((file) => /(\.(test|fake)\.|^src|^test|^scripts|\.env|\.pem$)/.test(file))).toEqual([]);
  });

  it.each(specifiers)("%s can be imported by plain Node and has the promised names", async (specifier) => {
    const names = await namesOf(specifier);
    expect(names).not.toEqual([]);
    expect(names).toEqual(expect.arrayContaining([...(promised[specifier] ?? [])]));
  });

  it("does not let anyone reach past its exports", async () => {
    const script = 'await import("cello/dist/config-fields.js")';
    const attempt = run(process.execPath, ["--input-type=module", "-e", script], { cwd: consumer });
    await expect(attempt).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it("tells its version to those who read its manifest", async () => {
    const script = 'console.log(require("cello/package.json").version)';
    const { stdout } = await run(process.execPath, ["--input-type=commonjs", "-e", script], { cwd: consumer });
    expect(stdout.trim()).toBe(manifest.version);
  });

  it("brings the command cello", async () => {
    const { stdout } = await run("npx", ["--no-install", "cello", "--help"], { cwd: consumer });
    expect(stdout).toContain("Usage: cello");
    const secret = await run("npx", ["--no-install", "cello", "secret"], { cwd: consumer });
    expect(secret.stdout).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
  });

  it.each([
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ])(
    "declares a type for every name, for a strict user with module %s and resolution %s",
    async (module, moduleResolution) => {
      const uses = specifiers.map(async (specifier, index) => {
        const names = await namesOf(specifier);
        return [
          `import * as entry${index} from ${JSON.stringify(specifier)};`,
          ...names.map((name) => `export const value${index}_${name} = entry${index}.${name};`),
        ].join("\n");
      });
      writeFileSync(join(consumer, "main.ts"), [...(await Promise.all(uses)), mustNotBeAny(), ""].join("\n"));
      writeJson("tsconfig.json", {
        compilerOptions: {
          target: "es2022",
          lib: ["es2023"],
          types: ["node"],
          strict: true,
          noEmit: true,
          skipLibCheck: false,
          module,
          moduleResolution,
        },
        files: ["main.ts"],
      });
      const output = await run(process.execPath, [compiler, "-p", "tsconfig.json"], { cwd: consumer }).then(
        ({ stdout }) => stdout,
        (error: { stdout?: string }) => error.stdout ?? String(error),
      );
      expect(output).toBe("");
    },
  );

  /** What an entry exports at run-time. */
  async function namesOf(specifier: string): Promise<readonly string[]> {
    const script = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).join("\\n"))`;
    const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: consumer });
    expect(stderr).toBe("");
    return stdout.trim().split("\n");
  }

  function writeJson(name: string, value: unknown): void {
    writeFileSync(join(consumer, name), JSON.stringify(value));
  }
});

/** Types that were not found would silently be any, and everything would compile. */
function mustNotBeAny(): string {
  return [
    'import { ConfigError } from "cello";',
    "// @ts-expect-error a ConfigError has no such member",
    "export const nothing: string = new ConfigError({ code: 'CELLO_MISSING', subject: '', problem: '', mend: '' }).nothing;",
  ].join("\n");
}

/**
 * Builds into a folder of its own and packs that: the repository's dist/ may be stale, or in use by
 * another test.
 */
async function pack(staging: string): Promise<string> {
  mkdirSync(staging);
  for (const name of ["package.json", ...manifest.files].filter((name) => name !== "dist")) {
    const source = join(repository, name);
    if (existsSync(source)) cpSync(source, join(staging, name), { recursive: true });
  }
  const project = join(repository, "tsconfig.build.json");
  await run(process.execPath, [compiler, "-p", project, "--outDir", join(staging, "dist")]);
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json"], { cwd: staging });
  return join(staging, packedName(stdout));
}

/** The name of the tarball; npm prints a list of packages, or (since 11) a record by name. */
function packedName(output: string): string {
  const name = /"filename":\s*"([^"]+\.tgz)"/.exec(output)?.[1];
  if (name === undefined) throw new Error(`npm pack did not say what it made: ${output}`);
  return name;
}

function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
}
