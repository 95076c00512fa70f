import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Placement } from "./machine.js";
import type { ServerEntry } from "./servers.js";

/** Which protections a workload uses. */
export interface Features {
  readonly headers: boolean;
  readonly limit: boolean;
  readonly session: boolean;
  readonly jwt: boolean;
}

/** What `node-replay` sends. */
export interface Replay {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  readonly keepAliveSeconds: number;
}

/** What every server is started with. */
export interface ServerSettings {
  readonly features: Features;
  readonly algorithm: string;
  readonly verificationKey: string;
  readonly sessionSecret: string;
  readonly limit: { readonly requests: number; readonly window: number };
  readonly replay?: Replay;
}

/** A server in a process of its own. */
export class ServerProcess {
  private constructor(
    readonly name: string,
    readonly port: number,
    readonly child: ChildProcess,
  ) {}

  /**
   * Starts servers/<name>.mjs, or that of another checkout, and waits until it listens.
   *
   * @param nodeOptions options for node itself, such as --cpu-prof
   * @throws Error when it ends before it listens
   */
  static async start(
    { name, origin }: Pick<ServerEntry, "name" | "origin">,
    settings: ServerSettings,
    placement: Placement,
    nodeOptions: readonly string[] = [],
  ): Promise<ServerProcess> {
    const here = new URL("../../", import.meta.url);
    const launcher = fileURLToPath(new URL("bench/servers/launch.mjs", origin?.checkout ?? here));
    const [command = process.execPath, ...args] = [
      ...placement.server,
      process.execPath,
      ...nodeOptions,
      launcher,
      origin?.file ?? name,
    ];
    const child = spawn(command, args, {
      env: { ...process.env, NODE_ENV: "production", BENCH_SETTINGS: JSON.stringify(settings) },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`server ${name} ended with code ${code} before it listened`)));
      createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line).port));
    });
    return new ServerProcess(name, port, child);
  }

  /** Lets the server end by itself, so that profiles are written. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end();
    await ended;
  }
}
