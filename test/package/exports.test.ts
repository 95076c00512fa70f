import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharedPackage } from "../shared/shared.js";
import { compileAll, linkInto, type Manifest, manifest, unpackInto } from "./packed.js";

const run = promisify(execFile);

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
/** What each entry exports, by its name. */
const known = new Map<string, Promise<readonly string[]>>();

// What starts npm and compilers is long on a busy machine; no time is asserted here.
describe("the packed package, installed in an empty project", { timeout: 120_000 }, () => {
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "cello-package-"));
    consumer = join(work, "consumer");
    mkdirSync(consumer);
    const { tarball } = await sharedPackage();
    writeJson("package.json", { name: "consumer", private: true, type: "module" });
    // The hosts and @types/node are what a TypeScript user of the adapters has of his own.
    const own = ["@types/node", ...Object.keys(manifest.peerDependencies ?? {})];
    await (process.env.CELLO_LONG_TESTS === "1" ? installByNpm(tarball, own) : installByLinks(tarball, own));
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

  it("has no link in its papers that leads to a file it does not bring", () => {
    const root = join(consumer, "node_modules/cello");
    const papers = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".md"));
    expect(papers).toContain("README.md");
    const dead = papers.flatMap((paper) =>
      [...readFileSync(join(root, paper), "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = ""]) => target)
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(paper), target)))
        .map((target) => `${paper}: ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it.each(specifiers)("%s can be imported by plain Node and has the promised names", async (specifier) => {
    const names = await namesOf(specifier);
    expect(names).not.toEqual([]);
    expect(names).toEqual(expect.arrayContaining([...(promised[specifier] ?? [])]));
  });

  it("does not let anyone reach past its exports", async () => {
    const script = 'await import("cello/dist/core/options.js")';
    const attempt = run(process.execPath, ["--input-type=module", "-e", script], { cwd: consumer });
    await expect(attempt).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it("tells its version to those who read its manifest", async () => {
    const script = 'console.log(require("cello/package.json").version)';
    const { stdout } = await run(process.execPath, ["--input-type=commonjs", "-e", script], { cwd: consumer });
    expect(stdout.trim()).toBe(manifest.version);
  });

  it("loads csp_evaluator at the first lint and not before", async () => {
    const script = `
      import { createRequire } from "node:module";
      import { CSP } from "cello";
      const { cache } = createRequire(import.meta.url);
      const isLoaded = () => Object.keys(cache).some((path) => path.includes("csp_evaluator"));
      console.log(isLoaded(), new CSP().scriptSrc("*").lint().length > 0, isLoaded());`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: consumer });
    expect(stdout.trim()).toBe("false true true");
  });

  it("brings the command cello", async () => {
    const command = join(consumer, "node_modules/.bin/cello");
    const { stdout } = await run(command, ["--help"]);
    expect(stdout).toContain("Usage: cello");
    const secret = await run(command, ["secret"]);
    expect(secret.stdout).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
  });

  describe("declares", () => {
    const compilerOptions = { target: "es2022", lib: ["es2023"], types: ["node"], strict: true, noEmit: true };
    let problems: ReadonlyMap<string, string>;
    const problemsOf = (name: string) => problems.get(join(realpathSync(consumer), name)) ?? "";

    beforeAll(async () => {
      const uses = specifiers.map(async (specifier, index) => {
        const names = await namesOf(specifier);
        return [
          `import * as entry${index} from ${JSON.stringify(specifier)};`,
          ...names.map((name) => `export const value${index}_${name} = entry${index}.${name};`),
        ].join("\n");
      });
      const everyName = [...(await Promise.all(uses)), mustNotBeAny(), ""].join("\n");
      const projects = [
        { file: "nodenext.ts", text: everyName, module: "nodenext", moduleResolution: "nodenext" },
        { file: "bundler.ts", text: everyName, module: "esnext", moduleResolution: "bundler" },
        // The library files are checked by the first two.
        { file: "app.ts", text: appAlone, module: "nodenext", moduleResolution: "nodenext", skipLibCheck: true },
      ].map(({ file, text, ...options }) => {
        writeFileSync(join(consumer, file), text);
        return { files: [file], compilerOptions: { ...compilerOptions, skipLibCheck: false, ...options } };
      });
      problems = await compileAll(realpathSync(consumer), projects);
    }, 120_000);

    it.each([
      ["nodenext", "nodenext"],
      ["esnext", "bundler"],
    ])("a type for every name, for a strict user with module %s and resolution %s", (_module, resolution) => {
      expect(problemsOf(`${resolution}.ts`)).toBe("");
    });

    it("what requests and routes have, to who imports nothing but the App", () => {
      expect(problemsOf("app.ts")).toBe("");
    });

    it("nothing that is wrong in itself", () => {
      expect([...problems.keys()]).toEqual([]);
    });
  });

  async function installByNpm(tarball: string, own: readonly string[]): Promise<void> {
    const versions = own.map((name) => `${name}@${manifest.devDependencies[name] ?? "*"}`);
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball, ...versions], {
      cwd: consumer,
    });
  }

  /** What npm would lay there, with the repository's copies of the packages that the manifest in the tarball names. */
  async function installByLinks(tarball: string, own: readonly string[]): Promise<void> {
    const installed = await unpackInto(consumer, tarball);
    const modules = join(consumer, "node_modules");
    const { dependencies, bin }: Manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    linkInto(modules, [...Object.keys(dependencies), ...own]);
    mkdirSync(join(modules, ".bin"));
    for (const [command, file] of Object.entries(bin)) {
      chmodSync(join(installed, file), 0o755);
      symlinkSync(join(installed, file), join(modules, ".bin", command));
    }
  }

  /** What an entry exports at run-time. */
  function namesOf(specifier: string): Promise<readonly string[]> {
    const names = known.get(specifier) ?? askNames(specifier);
    known.set(specifier, names);
    return names;
  }

  async function askNames(specifier: string): Promise<readonly string[]> {
    const script = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).join("\\n"))`;
    const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: consumer });
    expect(stderr).toBe("");
    return stdout.trim().split("\n");
  }

  function writeJson(name: string, value: unknown): void {
    writeFileSync(join(consumer, name), JSON.stringify(value));
  }
});

/** In a project of its own: an adapter that another file imports would declare these names for all. */
const appAlone = `
import { App, RateLimitConfig } from "cello";

const app = new App<{ claims: { sub: string }; session: { userId: string } }>();
app.get("/", (request) => {
  const fields: string[] = [request.claims.sub, request.cspNonce, request.clientIp, request.id, request.url];
  const user: string | undefined = request.session.get("userId");
  return [fields, user, request.rateLimit?.remaining];
});
app.route({
  method: "GET",
  url: "/route",
  auth: "optional",
  roles: ["admin"],
  rateLimit: RateLimitConfig.tokenBucket({ requests: 1, window: 1 }),
  handler: (request) => [request.cspNonce, request.clientIp, request.token],
});
app.register(async (plugin) => {
  plugin.get("/plugin", { auth: false, csrf: false, securityHeaders: false }, (request) => request.clientIp);
});
app.addHook("onRequest", async (request) => request.log.info(request.clientIp));
// @ts-expect-error no such value
app.get("/never", { auth: "none" }, () => "");
// @ts-expect-error no such field
app.get("/neither", (request) => request.clamis);
`;

/** Types that were not found would silently be any, and everything would compile. */
function mustNotBeAny(): string {
  return [
    'import { ConfigError } from "cello";',
    "// @ts-expect-error a ConfigError has no such member",
    "export const nothing: string = new ConfigError({ code: 'CELLO_MISSING', subject: '', problem: '', mend: '' }).nothing;",
  ].join("\n");
}
