import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { adopt, kill, temporaryFolder } from "./children.js";

const START_UP_MS = 10_000;

/** A `redis-server` on a free port of loopback that keeps nothing on disk. */
export class RedisServer {
  readonly folder = temporaryFolder();
  #child: ChildProcess | undefined;

  private constructor(readonly port: number) {}

  /** Starts one; resolves when it answers. */
  static async start(): Promise<RedisServer> {
    const redis = new RedisServer(await freePort());
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it, empty; resolves when it answers. */
  async start(): Promise<void> {
    const where = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder];
    const child = adopt(spawn("redis-server", [...where, "--save", "", "--appendonly", "no"], { stdio: "ignore" }));
    this.#child = child;
    let problem: string | undefined;
    child.on("error", (error) => {
      problem = `${error.message} (Debian and Ubuntu: apt-get install redis-server)`;
    });
    child.on("exit", (code) => {
      problem ??= `it ended with code ${code}`;
    });
    const end = Date.now() + START_UP_MS;
    while (!(await answers(this.port, child.pid ?? 0))) {
      if (Date.now() > end) problem = `it did not answer within ${START_UP_MS} ms`;
      if (problem !== undefined) throw new Error(`redis-server did not start: ${problem}`);
      await wait(10);
    }
  }

  /** As if the machine had died: SIGKILL. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await kill(this.#child);
  }
}

/** Whether this process answers, and not another that was quicker to take the port. */
function answers(port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let text = "";
    socket.setTimeout(1000, () => socket.destroy());
    socket.on("connect", () => socket.write("INFO server\r\nQUIT\r\n"));
    socket.on("data", (part) => {
      text += part.toString();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text.includes(`process_id:${pid}\r\n`)));
  });
}

/** A port of loopback on which nothing listens at this moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("loopback gave no port");
}
