import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { RedisStoreOptions } from "../../src/redis/options.js";
import { SECRET, type ServerSettings } from "./settings.js";

const program = fileURLToPath(new URL("server.ts", import.meta.url));
const START_UP_MS = 120_000;
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** One process of the fleet. */
export interface Server {
  readonly address: string;
  stop(): void;
}

/** Starts a process; resolves when it listens. */
export function startServer(redis: RedisStoreOptions, clockMs = 0): Promise<Server> {
  const settings: ServerSettings = { redis, clockMs, secret: SECRET };
  const env = { ...process.env, FAULTS_SERVER: JSON.stringify(settings) };
  const child = fork(program, { env, execArgv: ["--import", "tsx"], stdio: ["ignore", 2, 2, "ipc"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a server did not listen in time")), START_UP_MS);
    child.once("exit", () => reject(new Error("a server ended before it listened")));
    child.on("message", (message: { address?: string }) => {
      if (message.address === undefined) return;
      clearTimeout(timer);
      resolve({ address: message.address, stop: () => void child.kill("SIGKILL") });
    });
  });
}
