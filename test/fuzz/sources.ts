import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The entries of the package that the hosts need. */
export interface CelloSources {
  readonly core: typeof import("cello");
  readonly express: typeof import("cello/express");
  readonly fastify: typeof import("cello/fastify");
  readonly hono: typeof import("cello/hono");
  readonly fetch: typeof import("cello/fetch");
}

const here = fileURLToPath(new URL("../..", import.meta.url));

/** Loads the sources of this checkout, or of the one that `CELLO_SOURCE` names: an older state, to be compared. */
export async function loadSources(): Promise<CelloSources> {
  const root = resolve(process.env.CELLO_SOURCE ?? here);
  // Folders have moved since; what a checkout exports, and under which name, its manifest says.
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const load = (entry: string) => {
    const built: string = exports[entry].default;
    const source = built.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    return import(pathToFileURL(join(root, source)).href);
  };
  return {
    core: await load("."),
    express: await load("./express"),
    fastify: await load("./fastify"),
    hono: await load("./hono"),
    fetch: await load("./fetch"),
  };
}
