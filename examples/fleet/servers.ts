import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adopt, kill } from "./children.js";
import type { ServerMessage, StoreEvent } from "./policy.js";

const program = fileURLToPath(new URL("server.ts", import.meta.url));
const START_UP_MS = 30_000;

/** What all servers of a fleet are told. */
export interface ServerSettings {
  readonly redisUrl: string;
  readonly sessionSecret: string;
  /** As on the command line. */
  readonly lease: string;
}

/** One server, in a process of its own. */
export class Server {
  /** Where it listens, also after a restart. */
  port = 0;
  /** How many processes share the store, as far as it knows. */
  processesKnown = 0;
  readonly #settings: ServerSettings;
  readonly #onStoreEvent: (event: StoreEvent) => void;
  #child: ChildProcess | undefined;

  constructor(
    readonly number: number,
    settings: ServerSettings,
    onStoreEvent: (event: StoreEvent) => void,
  ) {
    this.#settings = settings;
    this.#onStoreEvent = onStoreEvent;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it, or starts it again on the port that it had; resolves when it listens. */
  start(): Promise<void> {
    const { redisUrl, sessionSecret, lease } = this.#settings;
    const env = {
      ...process.env,
      FLEET_SERVER: String(this.number),
      FLEET_LEASE: lease,
      PORT: String(this.port),
      REDIS_URL: redisUrl,
      SESSION_SECRET: sessionSecret,
    };
    // Its output goes where errors go: the result stands alone on the standard output.
    const child = adopt(fork(program, { env, stdio: ["ignore", 2, 2, "ipc"] }));
    this.#child = child;
    return new Promise((resolve, reject) => {
      const fail = (problem: string) => reject(new Error(`server ${this.number} ${problem}`));
      const timer = setTimeout(fail, START_UP_MS, `did not listen within ${START_UP_MS} ms`);
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${signal ?? code} before it listened`);
      });
      child.on("message", (message: ServerMessage) => {
        if (message.kind === "processes") {
          this.processesKnown = message.processes;
        } else if (message.kind === "listening") {
          this.port = message.port;
          clearTimeout(timer);
          resolve();
        } else {
          this.#onStoreEvent(message);
        }
      });
    });
  }

  /** As if the machine had died: SIGKILL. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await kill(this.#child);
  }

  /** Whether its process runs. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
}
