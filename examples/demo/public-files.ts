import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type DemoApp, PAGE } from "./demo-app.js";

const FOLDER = fileURLToPath(new URL("./public", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Serves the files of `public/`, each at a path of its own that is known at start: a request's path
 * never becomes the name of a file.
 */
export function publicFiles(app: DemoApp): void {
  for (const entry of readdirSync(FOLDER, { recursive: true, withFileTypes: true })) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    const bytes = readFileSync(file);
    const path = relative(FOLDER, file).split(sep).join("/");
    app.get(`/public/${path}`, PAGE, (_request, reply) =>
      reply.header("Cache-Control", "no-cache").type(type).send(bytes),
    );
  }
}
