import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

/** A Redis on loopback that answers. */
export interface RedisAddress {
  readonly port: number;
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  /** One command on a connection of its own, as the raw answer: `await redis.command("DBSIZE")` is `":0"`. */
  command(...words: readonly string[]): Promise<string>;
}

/** A real Redis of a test's own, on loopback, that keeps nothing on disk. */
export interface RedisServer extends RedisAddress {
  /** Of the process that runs now; another one after `restart`. */
  readonly pid: number;
  /** Sends a signal; after `SIGKILL` and `SIGTERM` it waits for the end. `SIGSTOP` and `SIGCONT` pause and continue. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port, empty; resolves when it answers. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Further arguments of `redis-server`. */
  readonly args?: readonly string[];
  /** A file of settings. */
  readonly configuration?: string;
}

/** How long a server may take to answer its first PING. */
const START_UP_MS = 10_000;
/** Nothing is kept on disk. */
const EMPTY = ["--save", "", "--appendonly", "no"];
const run = promisify(execFile);
/** Ended with the test process, should a test not come to its end. */
const running = new Set<ChildProcess>();
const endAll = () => {
  for (const child of running) child.kill("SIGKILL");
};
process.on("exit", endAll);
// A runner ends its workers by signal, which is no "exit".
process.once("SIGTERM", () => {
  endAll();
  process.exit(143);
});

/** Starts a `redis-server`; resolves when it answers. */
export async function startRedis({
  port: wanted,
  args = [],
  configuration,
}: RedisServerOptions = {}): Promise<RedisServer> {
  const port = wanted ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "cello-redis-"));
  const first = configuration === undefined ? EMPTY : [configuration];
  const start = () => launch(port, [...first, "--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...args]);
  let child = await start();
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  };
  return {
    ...redisAt(port),
    get pid() {
      return child.pid ?? 0;
    },
    async kill(signal) {
      if (signal === "SIGKILL" || signal === "SIGTERM") await end(signal);
      else child.kill(signal);
    },
    async restart() {
      await end("SIGKILL");
      child = await start();
    },
    async stop() {
      // A paused process does not hear SIGTERM.
      await end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The Redis at a port of this machine, whoever started it. */
export function redisAt(port: number): RedisAddress {
  return { port, url: `redis://127.0.0.1:${port}`, command: (...words) => sendCommand(port, words) };
}

/** A Redis Cluster of three primaries. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Starts three servers and joins them into a Cluster; resolves when all slots are served. */
export async function startCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all([1, 2, 3].map(() => startNode()));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
    await run("redis-cli", ["--cluster", "create", ...addresses, "--cluster-replicas", "0", "--cluster-yes"]);
    await until(START_UP_MS, async () => {
      const states = await Promise.all(nodes.map((node) => node.command("CLUSTER", "INFO")));
      return states.every((state) => state.includes("cluster_state:ok"));
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, stop };
}

/** Moves slots with what they hold from one node of a Cluster to another, while both answer. */
export async function moveSlots(from: RedisServer, to: RedisServer, count: number): Promise<void> {
  const [fromId, toId] = await Promise.all([from, to].map(async (node) => idOf(await node.command("CLUSTER", "MYID"))));
  const [source, target, slots] = [`--cluster-from=${fromId}`, `--cluster-to=${toId}`, `--cluster-slots=${count}`];
  const words = [source, target, slots].flatMap((option) => option.split("="));
  await run("redis-cli", ["--cluster", "reshard", `127.0.0.1:${from.port}`, ...words, "--cluster-yes"]);
}

/** The answer of `CLUSTER MYID`: its length, then the id. */
function idOf(answer: string): string {
  return answer.split("\r\n")[1] ?? "";
}

/** Starts a Sentinel that watches a primary on loopback under the name `primary`. */
export async function startSentinel(primaryPort: number): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "cello-sentinel-"));
  const file = join(folder, "sentinel.conf");
  // A Sentinel writes what it learns into its configuration, and does not start without one.
  await writeFile(file, `sentinel monitor primary 127.0.0.1 ${primaryPort} 1\n`);
  return startRedis({ configuration: file, args: ["--sentinel"] });
}

/** The bus between nodes stands on a port of its own; the usual one, 10,000 above, may not exist. */
async function startNode(): Promise<RedisServer> {
  const bus = await freePort();
  return startRedis({
    args: [
      ...["--cluster-enabled", "yes", "--cluster-port", String(bus), "--cluster-node-timeout", "2000"],
      // A node that is lost must not take the others with it.
      ...["--cluster-require-full-coverage", "no"],
    ],
  });
}

/** A TCP proxy on loopback whose network can be cut: what is sent then is lost, and no end tells the other. */
export interface CutableProxy {
  readonly port: number;
  /** From now on nothing passes, in neither direction; new connections are made and hear nothing. */
  cut(): void;
  /** What is sent from now on passes, on connections made from now on; the old ones stay silent for ever. */
  heal(): void;
  close(): Promise<void>;
}

/** Starts a proxy before a port of this machine. */
export async function cutableProxy(targetPort: number): Promise<CutableProxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inner) => {
    sockets.add(inner);
    inner.on("error", () => inner.destroy());
    inner.on("close", () => sockets.delete(inner));
    if (isCut) {
      inner.resume();
      return;
    }
    const outer = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    sockets.add(outer);
    // Bytes that were lost would leave a stream that nobody can read: a cut connection stays cut.
    let isLost = false;
    const forward = (from: Socket, to: Socket) => {
      from.on("data", (bytes) => {
        isLost ||= isCut;
        if (!isLost) to.write(bytes);
      });
      from.on("error", () => from.destroy());
      from.on("close", () => {
        sockets.delete(from);
        // The end of a connection is a packet too, and is lost like any other.
        if (!isCut && !isLost) to.destroy();
      });
    };
    inner.setNoDelay(true);
    forward(inner, outer);
    forward(outer, inner);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: portOf(server.address()),
    cut() {
      isCut = true;
    },
    heal() {
      isCut = false;
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port of loopback on which nothing listens at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server.address());
  server.close();
  await once(server, "close");
  return port;
}

async function launch(port: number, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let said = "";
  child.stdout.on("data", (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  child.stderr.on("data", (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  child.on("error", (error) => {
    said += `${error.message}: the tests need redis-server (Debian and Ubuntu: apt-get install redis-server)`;
  });
  child.on("exit", () => running.delete(child));
  try {
    await until(START_UP_MS, async () => {
      if (child.pid === undefined || child.exitCode !== null) throw new Error(`redis-server did not start: ${said}`);
      return (await sendCommand(port, ["PING"]).catch(() => "")) === "+PONG";
    });
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return child;
}

/** Speaks RESP2 by hand: what looks at the server must not lean on what is tested. */
function sendCommand(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let answer = "";
    socket.setEncoding("utf8");
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    // The server closes too, when it has answered.
    socket.on("connect", () => socket.end(`*${words.length}\r\n${parts.join("")}`));
    socket.on("data", (text) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer.replace(/\r\n$/, "")));
  });
}

async function until(milliseconds: number, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Redis was not ready within ${milliseconds} ms`);
    await wait(20);
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("the server listens on no port");
}
