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
  const load = (path: string) => import(pathToFileURL(join(root, "src", path)).href);
  return {
    core: await load("index.ts"),
    express: await load("adapters/express/index.ts"),
    fastify: await load("adapters/fastify/index.ts"),
    hono: await load("adapters/hono/index.ts"),
    fetch: await load("adapters/fetch/index.ts"),
  };
}
