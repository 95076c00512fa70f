import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, it } from "vitest";

const sourceFolder = fileURLToPath(new URL("../src", import.meta.url));

/** What a part of the house may lean on, and the reason to tell who tries more. */
interface Layer {
  /** Layers whose files it may import; its own files always. */
  readonly mayImport: readonly string[];
  /** Layers of which it may import types only: they say what it puts onto the host's request. */
  readonly mayNameTypesOf?: readonly string[];
  /** Packages from outside that it may import, also for types. `node:` modules always. */
  readonly packages: readonly string[];
  readonly reason: string;
}

const features = ["jws", "jwt", "session", "origins", "csrf", "cors", "headers", "limits", "overload", "client"];

const featureReason = "a feature stands alone on the core, so that it can be read, tested and removed alone";
const hostReason =
  "a host knows its framework and the policy, and nothing of a feature (but the types of what it shows) or another host";

function feature(packages: readonly string[], ...below: string[]): Layer {
  return { mayImport: ["core", ...below], packages, reason: featureReason };
}

/** A folder is a layer. The hosts are a layer each, on `hosts` itself: what all of them share. */
const layers: Record<string, Layer> = {
  core: { mayImport: [], packages: [], reason: "everything rests on the core, so it rests on nothing" },
  jws: feature([]),
  jwt: feature([], "jws"),
  session: feature([]),
  origins: feature(["tldts"]),
  csrf: feature([], "origins"),
  cors: feature([], "origins"),
  headers: feature(["structured-headers", "csp_evaluator"]),
  client: feature([]),
  overload: feature([]),
  limits: feature(["structured-headers"], "overload", "client"),
  policy: {
    mayImport: ["core", ...features],
    packages: [],
    reason: "the policy is compiled from the features and knows no host",
  },
  hosts: host([]),
  "hosts/node": host([], "hosts"),
  "hosts/fetch": host([], "hosts"),
  "hosts/fastify": host(["fastify", "fastify-plugin"], "hosts", "hosts/node"),
  "hosts/express": host(["express"], "hosts", "hosts/node"),
  // Hono is a Fetch host with names of its own.
  "hosts/hono": host(["hono"], "hosts", "hosts/fetch"),
  app: {
    mayImport: ["core", "policy", "hosts/fastify", ...features],
    packages: ["fastify"],
    reason: "App is the thin face on Fastify",
  },
  cli: {
    mayImport: ["core", "jws", "jwt"],
    packages: ["commander", "jose"],
    reason: "the command makes keys and tokens",
  },
  redis: {
    mayImport: ["core", "session", "limits", "jwt"],
    packages: ["ioredis"],
    reason: "a store implements the features' store interfaces and knows nothing above them",
  },
  metrics: {
    mayImport: ["core", "policy"],
    mayNameTypesOf: ["limits", "overload"],
    packages: ["@opentelemetry/api"],
    reason: "metrics look at the policy from above, through its events and its load, and nothing knows of them",
  },
  testing: {
    mayImport: ["core", "session", "limits", "jwt"],
    packages: [],
    reason: "tools for testing stores and clocks know the interfaces alone",
  },
};

function host(packages: readonly string[], ...shared: string[]): Layer {
  const mayImport = ["core", "policy", ...shared];
  return { mayImport, mayNameTypesOf: features, packages, reason: hostReason };
}

/** The layer of a file, by its path under src/; `undefined` for one in a folder that the table does not know. */
function layerOf(path: string): string | undefined {
  const [first, second, ...rest] = path.split("/");
  const name = first === "hosts" && rest.length > 0 ? `${first}/${second}` : first;
  return second !== undefined && name !== undefined && Object.hasOwn(layers, name) ? name : undefined;
}

/** One module that a file names. */
interface Import {
  readonly specifier: string;
  /** Whether nothing of it is left when the types are taken away. */
  readonly isTypeOnly: boolean;
}

/** Every module that a file names: imports, re-exports, `import()` and types in `import("...")`. */
function importsOf(path: string, text: string): Import[] {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const found: Import[] = [];
  const note = (source: unknown, isTypeOnly: boolean) => {
    if (typeof source !== "object" || source === null || !("value" in source)) return;
    if (typeof source.value === "string") found.push({ specifier: source.value, isTypeOnly });
  };
  new Visitor({
    ImportDeclaration: (node) => note(node.source, node.importKind === "type"),
    ExportAllDeclaration: (node) => note(node.source, node.exportKind === "type"),
    ExportNamedDeclaration: (node) => note(node.source, node.exportKind === "type"),
    ImportExpression: (node) => note(node.source, false),
    TSImportType: (node) => note(node.source, true),
  }).visit(program);
  return found;
}

/** What is wrong with the imports of one file: one line each. */
function violations(path: string, text: string): string[] {
  // What a user imports may come from anywhere.
  if (path === "index.ts") return [];
  const from = layerOf(path);
  if (from === undefined) {
    return [`${path}: belongs to no layer; put it into a folder that is a layer, or add its folder to this test`];
  }
  const layer = layers[from];
  if (layer === undefined) throw new Error(`the table has no layer ${from}`);
  return importsOf(path, text).flatMap((found) => {
    const { specifier } = found;
    const problem = specifier.startsWith(".")
      ? wrongArrow(path, from, layer, found)
      : wrongPackage(layer, specifier) && `${from} may not import the package ${specifier}`;
    return problem ? [`${path} -> ${specifier}: ${problem}, because ${layer.reason}`] : [];
  });
}

function wrongArrow(path: string, from: string, layer: Layer, found: Import): string | false {
  const { specifier, isTypeOnly } = found;
  const target = posix.normalize(posix.join(dirname(path), specifier)).replace(/\.js$/, ".ts");
  // The manifest, for the version.
  if (target === "../package.json") return false;
  const to = layerOf(target);
  const allowed = [from, ...layer.mayImport, ...(isTypeOnly ? (layer.mayNameTypesOf ?? []) : [])];
  if (to !== undefined && allowed.includes(to)) return false;
  return `${from} may not import ${to ?? "a file of no layer"}`;
}

function wrongPackage(layer: Layer, specifier: string): boolean {
  if (specifier.startsWith("node:")) return false;
  const parts = specifier.split("/");
  const name = specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
  return !layer.packages.includes(name);
}

const sources = readdirSync(sourceFolder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((file) => ({ path: relative(sourceFolder, file).split(sep).join("/"), text: readFileSync(file, "utf8") }));

describe("the arrows between the parts of src/", () => {
  it("point downward only", () => {
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.flatMap(({ path, text }) => violations(path, text))).toEqual([]);
  });

  it.each([
    ["session/step.ts", 'import { x } from "../jwt/step.js";', "session may not import jwt"],
    ["session/step.ts", 'import type { X } from "../jwt/step.js";', "session may not import jwt"],
    ["session/step.ts", 'export * from "../limits/store.js";', "session may not import limits"],
    ["csrf/step.ts", 'export type { X } from "../policy/security.js";', "csrf may not import policy"],
    ["core/errors.ts", 'const x = await import("../jws/keys.js");', "core may not import jws"],
    ["core/clock.ts", 'let x: import("../headers/config.js").X;', "core may not import headers"],
    ["jws/sign.ts", 'import { x } from "../jwt/config.js";', "jws may not import jwt"],
    ["overload/machine.ts", 'import { x } from "../limits/config.js";', "overload may not import limits"],
    ["policy/pipeline.ts", 'import { x } from "../hosts/fastify/plugin.js";', "policy may not import hosts/fastify"],
    ["hosts/hono/x.ts", 'import { x } from "../express/x.js";', "hosts/hono may not import hosts/express"],
    ["hosts/hono/x.ts", 'import { x } from "../../session/seal.js";', "hosts/hono may not import session"],
    ["headers/x.ts", 'import type { FastifyReply } from "fastify";', "headers may not import the package fastify"],
    ["cli/main.ts", 'import { App } from "../app/app.js";', "cli may not import app"],
    ["hosts/fetch/x.ts", 'export { x } from "../../jwt/bearer.js";', "hosts/fetch may not import jwt"],
    ["hosts/node/x.ts", 'import { x } from "../fastify/x.js";', "hosts/node may not import hosts/fastify"],
    ["limits/x.ts", 'import { x } from "../redis/fleet.js";', "limits may not import redis"],
    ["session/x.ts", 'import { Redis } from "ioredis";', "session may not import the package ioredis"],
    ["redis/x.ts", 'import { x } from "../app/app.js";', "redis may not import app"],
    ["metrics/x.ts", 'import { x } from "../limits/limiter.js";', "metrics may not import limits"],
    ["policy/security.ts", 'import { x } from "../metrics/record.js";', "policy may not import metrics"],
    [
      "overload/x.ts",
      'import { metrics } from "@opentelemetry/api";',
      "overload may not import the package @opentelemetry/api",
    ],
    ["misc.ts", "", "belongs to no layer"],
    ["hosts/misc/x.ts", "", "belongs to no layer"],
    ["utils/text.ts", "", "belongs to no layer"],
  ])("refuses in %s: %s", (path, text, message) => {
    expect(violations(path, text)).toEqual([expect.stringContaining(message)]);
  });

  it.each([
    ["jwt/verify.ts", 'import { x } from "../jws/compact.js"; import { y } from "./config.js";'],
    ["limits/limiter.ts", 'import { x } from "../overload/load.js"; import "node:os";'],
    ["hosts/express/x.ts", 'import { x } from "../node/view.js"; import type { R } from "express";'],
    ["hosts/hono/x.ts", 'import type { Session } from "../../session/session.js"; import "../fetch/x.js";'],
    ["app/app.ts", 'import { x } from "../hosts/fastify/plugin.js"; import "../jwt/config.js";'],
    ["cli/main.ts", 'import { x } from "../jws/index.js"; import { Command } from "commander";'],
    ["redis/x.ts", 'import type { S } from "../session/store.js"; import { Redis } from "ioredis";'],
    ["index.ts", 'export * from "./redis/redis-store.js"; export { x } from "./app/app.js";'],
  ])("allows in %s: %s", (path, text) => {
    expect(violations(path, text)).toEqual([]);
  });
});
