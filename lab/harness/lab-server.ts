import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Placement } from "../../bench/harness/machine.js";
import type { ServerSettings } from "./settings.js";

/** The limits in force at a moment. */
export interface LimitReport {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly limit: number | null;
  readonly concurrency: number | null;
}

const LAUNCHER = fileURLToPath(new URL("../servers/launch.mjs", import.meta.url));

/** A server in a process of its own. */
export class LabServer {
  /** What it told of its limits so far, oldest first. */
  readonly reports: LimitReport[] = [];
  readonly #child: ChildProcess;
  #errors = "";
  #port = 0;

  private constructor(settings: ServerSettings, placement: Placement) {
    const heap = settings.heapLimitMb === undefined ? [] : [`--max-old-space-size=${settings.heapLimitMb}`];
    const [command = process.execPath, ...args] = [...placement.server, process.execPath, ...heap, LAUNCHER];
    this.#child = spawn(command, args, {
      env: { ...process.env, NODE_ENV: "production", LAB_SETTINGS: JSON.stringify(settings) },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-4000);
    });
  }

  /**
   * Starts a server and waits until it listens.
   *
   * @throws Error when it ends before that
   */
  static async start(settings: ServerSettings, placement: Placement): Promise<LabServer> {
    const server = new LabServer(settings, placement);
    await server.#listening(`${settings.protection} (${settings.work})`);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** Whether it ended by itself, for want of memory for example. */
  get isDead(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Ends it at once: what it still has in its queues is of no interest any more. */
  async stop(): Promise<void> {
    if (this.isDead) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #listening(name: string): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("the server has no output");
    return new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      // "close" comes after the last of its output, so that the reason is known.
      this.#child.once("close", (code) => reject(new Error(`server ${name} ended with ${code}: ${this.#errors}`)));
      createInterface({ input: stdout }).on("line", (line) => {
        const message: { port: number } | LimitReport = JSON.parse(line);
        if (!("port" in message)) return void this.reports.push(message);
        this.#port = message.port;
        resolve();
      });
    });
  }
}
