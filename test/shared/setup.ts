import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { pack, unpackInto } from "../package/packed.js";
import { startCluster } from "../redis/server.js";
import type { SharedThings } from "./shared.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Where test files ask for what they share. */
    readonly sharedUrl: string;
  }
}

type Makers = { readonly [Name in keyof SharedThings]: () => Promise<SharedThings[Name]> };

const cache = fileURLToPath(new URL("../../node_modules/.cache/cello", import.meta.url));
const cleanUps: (() => unknown)[] = [];

const makers: Makers = {
  async package() {
    mkdirSync(cache, { recursive: true });
    // Inside the repository's node_modules, so that the package finds what it depends on.
    const work = mkdtempSync(join(cache, "package-"));
    cleanUps.push(() => rmSync(work, { recursive: true, force: true }));
    const tarball = await pack(work);
    return { tarball, folder: await unpackInto(work, tarball) };
  },
  async cluster() {
    const cluster = await startCluster();
    cleanUps.push(() => cluster.stop());
    return { ports: cluster.nodes.map(({ port }) => port) };
  },
  async chromium() {
    const [{ chromium }, { chromiumOptions }] = await Promise.all([
      import("playwright-core"),
      import("../browser/chromium.js"),
    ]);
    const server = await chromium.launchServer(chromiumOptions());
    cleanUps.push(() => server.close());
    return { wsEndpoint: server.wsEndpoint() };
  },
};

/** Makes what several test files share: once in a run, and when the first of them asks. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (!project.isRootProject()) return undefined;
  const made = new Map<string, Promise<unknown>>();
  const server = createServer(async (request, response) => {
    const name = (request.url ?? "").slice(1) as keyof SharedThings;
    const thing = made.get(name) ?? makers[name]();
    made.set(name, thing);
    const [status, answer] = await thing.then(
      (value) => [200, value] as const,
      (error: unknown) => [500, String(error)] as const,
    );
    response.writeHead(status).end(JSON.stringify(answer));
  });
  const url = await new Promise<string>((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`);
    });
  });
  // It alone must not keep the runner alive.
  server.unref();
  project.provide("sharedUrl", url);
  return async () => {
    server.close();
    server.closeAllConnections();
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  };
}
