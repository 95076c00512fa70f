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

const spineFiles = [
  "errors.ts",
  "config-fields.ts",
  "clock.ts",
  "events.ts",
  "exchange.ts",
  "problem.ts",
  "path-patterns.ts",
  "key-material.ts",
  "secret-strength.ts",
  "store-health.ts",
  "strict-calls.ts",
];
const policyFiles = [
  "security.ts",
  "security-policy.ts",
  "route-policy.ts",
  "route-addition.ts",
  "preflight-bound.ts",
  "secured-request.ts",
  "response-head.ts",
  "preflight-bound.ts",
  "shared-secret.ts",
];
const appFiles = ["app.ts", "app-types.ts"];
const features = [
  "jws",
  "jwt",
  "session",
  "origins",
  "csrf",
  "cors",
  "headers",
  "rate-limit",
  "shedding",
  "load",
  "client-address",
];

const featureReason = "a feature stands alone on the spine, so that it can be read, tested and removed alone";
const adapterReason =
  "an adapter knows its host and the policy, and nothing of a feature (but the types of what it shows) or another host";

function feature(packages: readonly string[], ...below: string[]): Layer {
  return { mayImport: ["spine", ...below], packages, reason: featureReason };
}

const layers: Record<string, Layer> = {
  spine: { mayImport: [], packages: [], reason: "everything rests on the spine, so it rests on nothing" },
  jws: feature([]),
  jwt: feature(["jose"], "jws"),
  session: feature([]),
  origins: feature(["tldts"]),
  csrf: feature([], "origins"),
  cors: feature([], "origins"),
  headers: feature(["structured-headers", "csp_evaluator"]),
  load: feature([]),
  "client-address": feature(["ipaddr.js"]),
  shedding: feature([], "load"),
  "rate-limit": feature(["structured-headers"], "load", "client-address", "shedding"),
  pipeline: {
    mayImport: ["spine", "policy", ...features],
    packages: [],
    reason: "the pipeline is the order of the features' steps and knows no host",
  },
  policy: {
    mayImport: ["spine", "pipeline", ...features],
    packages: [],
    reason: "the policy is compiled from the features and knows no host",
  },
  // The files directly in adapters/: what all hosts share.
  adapters: adapter([]),
  "adapters/node": adapter([], "adapters"),
  "adapters/fetch": adapter([], "adapters"),
  "adapters/fastify": adapter(["fastify", "fastify-plugin"], "adapters", "adapters/node"),
  "adapters/express": adapter(["express"], "adapters", "adapters/node"),
  // Hono is a Fetch host with names of its own.
  "adapters/hono": adapter(["hono"], "adapters", "adapters/fetch"),
  app: {
    mayImport: ["spine", "pipeline", "policy", "adapters/fastify", ...features],
    packages: ["fastify"],
    reason: "App is the thin face on Fastify",
  },
  cli: {
    mayImport: ["spine", "jws", "jwt"],
    packages: ["commander", "jose"],
    reason: "the command makes keys and tokens",
  },
  redis: {
    mayImport: ["spine", "session", "rate-limit", "jwt"],
    packages: ["ioredis"],
    reason: "a store implements the features' store interfaces and knows nothing above them",
  },
  metrics: {
    mayImport: ["spine", "policy"],
    mayNameTypesOf: ["rate-limit", "load"],
    packages: ["@opentelemetry/api"],
    reason: "metrics look at the policy from above, through its events and its load, and nothing knows of them",
  },
  testing: {
    mayImport: ["spine", "session", "rate-limit", "jwt"],
    packages: [],
    reason: "tools for testing stores and clocks know the interfaces alone",
  },
};

function adapter(packages: readonly string[], ...shared: string[]): Layer {
  const mayImport = ["spine", "pipeline", "policy", ...shared];
  return { mayImport, mayNameTypesOf: features, packages, reason: adapterReason };
}

/** The layer of a file, by its path under src/; `undefined` for one that the table does not know. */
function layerOf(path: string): string | undefined {
  if (spineFiles.includes(path)) return "spine";
  if (policyFiles.includes(path)) return "policy";
  if (appFiles.includes(path)) return "app";
  if (path === "pipeline.ts" || path === "index.ts") return path.slice(0, -3);
  const folders = path.split("/").slice(0, -1);
  const name = folders.slice(0, folders[0] === "adapters" ? 2 : 1).join("/");
  return Object.hasOwn(layers, name) ? name : undefined;
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
  const from = layerOf(path);
  if (from === undefined) {
    return [`${path}: belongs to no layer; put it into a folder of its feature, or name its layer in this test`];
  }
  // What a user imports may come from anywhere.
  if (from === "index") return [];
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
    ["session/step.ts", 'export * from "../rate-limit/store.js";', "session may not import rate-limit"],
    ["csrf/step.ts", 'export type { X } from "../security.js";', "csrf may not import policy"],
    ["errors.ts", 'const x = await import("./jws/keys.js");', "spine may not import jws"],
    ["clock.ts", 'let x: import("./headers/config.js").X;', "spine may not import headers"],
    ["jws/sign.ts", 'import { x } from "../jwt/config.js";', "jws may not import jwt"],
    ["load/cpu.ts", 'import { x } from "../rate-limit/config.js";', "load may not import rate-limit"],
    ["pipeline.ts", 'import { x } from "./adapters/fastify/plugin.js";', "pipeline may not import adapters/fastify"],
    ["adapters/hono/x.ts", 'import { x } from "../express/x.js";', "adapters/hono may not import adapters/express"],
    ["adapters/hono/x.ts", 'import { x } from "../../session/seal.js";', "adapters/hono may not import session"],
    ["headers/x.ts", 'import type { FastifyReply } from "fastify";', "headers may not import the package fastify"],
    ["cli/main.ts", 'import { App } from "../app.js";', "cli may not import app"],
    ["adapters/fetch/x.ts", 'export { x } from "../../jwt/bearer.js";', "adapters/fetch may not import jwt"],
    ["adapters/node/x.ts", 'import { x } from "../fastify/x.js";', "adapters/node may not import adapters/fastify"],
    ["rate-limit/x.ts", 'import { x } from "../redis/fleet.js";', "rate-limit may not import redis"],
    ["session/x.ts", 'import { Redis } from "ioredis";', "session may not import the package ioredis"],
    ["redis/x.ts", 'import { x } from "../app.js";', "redis may not import app"],
    ["metrics/x.ts", 'import { x } from "../rate-limit/limiter.js";', "metrics may not import rate-limit"],
    ["security.ts", 'import { x } from "./metrics/record.js";', "policy may not import metrics"],
    [
      "load/x.ts",
      'import { metrics } from "@opentelemetry/api";',
      "load may not import the package @opentelemetry/api",
    ],
    ["misc.ts", "", "belongs to no layer"],
    ["utils/text.ts", "", "belongs to no layer"],
  ])("refuses in %s: %s", (path, text, message) => {
    expect(violations(path, text)).toEqual([expect.stringContaining(message)]);
  });

  it.each([
    ["jwt/verify.ts", 'import { x } from "../jws/compact.js"; import { y } from "./config.js";'],
    ["rate-limit/adaptive.ts", 'import { x } from "../load/load.js"; import "node:os";'],
    ["adapters/express/x.ts", 'import { x } from "../node/exchange.js"; import type { R } from "express";'],
    ["adapters/hono/x.ts", 'import type { Session } from "../../session/session.js"; import "../fetch/x.js";'],
    ["app.ts", 'import { x } from "./adapters/fastify/plugin.js"; import "./jwt/config.js";'],
    ["cli/main.ts", 'import { x } from "../jws/index.js"; import { Command } from "commander";'],
    ["redis/x.ts", 'import type { S } from "../session/store.js"; import { Redis } from "ioredis";'],
    ["index.ts", 'export * from "./redis/redis-store.js"; export { x } from "./app.js";'],
  ])("allows in %s: %s", (path, text) => {
    expect(violations(path, text)).toEqual([]);
  });
});
