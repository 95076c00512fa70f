import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { LaunchOptions } from "playwright-core";

/** The shell without a window first: it needs half of the computing time. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The Chromium of this machine: `CHROMIUM_PATH`, or the first that is on the `PATH`. */
export const chromiumPath = process.env.CHROMIUM_PATH || findOnPath();

if (chromiumPath === undefined) {
  console.info("Skipped: the browser tests need Chromium. Install it, or name it with CHROMIUM_PATH.");
}

function findOnPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Without a window, and without anything that talks to the network by itself. */
export function chromiumOptions(): LaunchOptions {
  return {
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    args: [
      // Chromium has no sandbox for root, who runs the tests in containers.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  };
}
