import { setTimeout as wait } from "node:timers/promises";
import { type Cluster, Command, type Redis } from "ioredis";
import { connect, type NodeParts, RedisNode } from "./availability.js";
import { mayAskAgain, RedisUnavailableError, withoutCommand } from "./failures.js";
import type { RedisClient, RedisSettings } from "./options.js";
import type { Script } from "./script.js";

export type RedisArgument = string | number;

export { RedisDeadlineError, RedisUnavailableError } from "./failures.js";

/** Milliseconds to the second attempt at what a Cluster has not done because slots were moving. */
const ASK_AGAIN_MS = 10;

const CLOSED = new RedisUnavailableError("the store is closed");

/**
 * The way to Redis: to one server, or to the nodes of a Cluster, each with a state of its own. Every command
 * has a deadline, and a server that misses one is not asked again until it answers a trial (`RedisNode`).
 *
 * What a Cluster certainly has not done, because slots were moving, is asked once more. Nothing else
 * is ever sent twice.
 */
export class RedisConnection {
  readonly prefix: string;
  /** Whether it is a Cluster, where the keys of one command must share a hash slot. */
  readonly isCluster: boolean;
  readonly #client: RedisClient;
  readonly #ownsClient: boolean;
  readonly #common: Pick<NodeParts, "deadlineMs" | "lastError">;
  /** The only server; of a Cluster what stands for it until its nodes are known. */
  readonly #first: RedisNode;
  readonly #byAddress = new Map<string, RedisNode>();
  /** Settles when the client was ready for the first time. */
  readonly #firstReady: Promise<void>;
  readonly #onReady: () => void;
  #wasReady: boolean;
  #isClosed = false;
  /** Why the client is not connected, as far as it says. */
  #lastError: Error | undefined;

  constructor({ client, ownsClient, prefix, deadlineMs }: RedisSettings) {
    this.prefix = prefix;
    this.isCluster = client.isCluster;
    this.#client = client;
    this.#ownsClient = ownsClient;
    this.#common = { deadlineMs, lastError: () => this.#lastError };
    this.#first = new RedisNode({
      ...this.#common,
      connection: () => client,
      isAwaited: () => !this.#wasReady,
      lookFor: () => {},
    });
    this.#wasReady = client.status === "ready";
    let announce = () => {};
    this.#firstReady = this.#wasReady ? Promise.resolve() : new Promise((resolve) => (announce = resolve));
    this.#onReady = () => {
      this.#wasReady = true;
      for (const node of this.#all()) node.tryNow();
      announce();
    };
    client.on("ready", this.#onReady);
    // What is emitted without a listener, ioredis prints; failures are told by the commands that meet them.
    if (ownsClient) client.on("error", (error: Error) => (this.#lastError = withoutCommand(error)));
  }

  /**
   * Waits for the first connection, for a time.
   *
   * @returns whether Redis is connected
   */
  async open(milliseconds: number): Promise<boolean> {
    connect(this.#client);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([this.#firstReady.then(() => this.#connectAll()), timeout]);
    clearTimeout(timer);
    return this.#wasReady;
  }

  /**
   * Runs a script by its hash, and loads it where the server does not have it.
   *
   * @param keys all in one hash slot, should Redis be a Cluster
   * @param isCollected as of {@link send}
   * @returns what the script returns; rejects when Redis fails or does not answer in time
   */
  run(script: Script, keys: readonly string[], args: readonly RedisArgument[], isCollected = false): Promise<unknown> {
    return this.send(keys[0] ?? "", (client) => runScript(client, script, keys, args), isCollected);
  }

  /**
   * Sends commands, all of them under one deadline, unless the server is known to be down.
   *
   * @param key the key of the commands, or one of them: says which node of a Cluster is asked
   * @param isCollected whether it is written now, and not with what else is asked in this turn of the event loop
   */
  async send<Answer>(
    key: string,
    command: (client: RedisClient) => Promise<Answer>,
    isCollected = false,
  ): Promise<Answer> {
    try {
      return await this.#sendOnce(key, command, isCollected);
    } catch (error) {
      if (!mayAskAgain(error)) throw error;
    }
    await wait(ASK_AGAIN_MS);
    return this.#sendOnce(key, command, isCollected);
  }

  /** Ends the connections that were made here; commands fail at once from now on. Calling it again does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const node of this.#all()) node.close();
    this.#client.off("ready", this.#onReady);
    if (this.#ownsClient) this.#client.disconnect();
  }

  async #sendOnce<Answer>(
    key: string,
    command: (client: RedisClient) => Promise<Answer>,
    isCollected: boolean,
  ): Promise<Answer> {
    if (this.#isClosed) throw CLOSED;
    const node = this.#nodeOf(key);
    if (node.outage !== undefined) throw node.outage;
    const write = () => {
      // What waited until the nodes of a Cluster were known waits for the connection to its own node now.
      const owner = this.#nodeOf(key);
      return owner === node ? command(this.#client) : owner.ask(() => command(this.#client), isCollected);
    };
    try {
      return await node.ask(write, isCollected);
    } catch (error) {
      // The key may have moved meanwhile: it is the node that was asked last that has failed.
      this.#nodeOf(key).failed(error);
      throw error;
    }
  }

  /** The node that has a key, as known now. */
  #nodeOf(key: string): RedisNode {
    const client = this.#client;
    if (!isCluster(client) || !this.#wasReady) return this.#first;
    const address = addressOf(client, key);
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const node = this.#nodeAt(client, address);
    this.#byAddress.set(address, node);
    return node;
  }

  #nodeAt(cluster: Cluster, address: string): RedisNode {
    let last: Redis | undefined;
    return new RedisNode({
      ...this.#common,
      connection: () => {
        if (last === undefined || last.status === "end") last = connectionTo(cluster, address);
        return last;
      },
      // It is made with the first command for the node.
      isAwaited: () => true,
      lookFor: () => {
        if (cluster.slots.some(([owner]) => owner === address)) {
          cluster.refreshSlotsCache();
          return;
        }
        // The node has no slots any more.
        this.#byAddress.get(address)?.close();
        this.#byAddress.delete(address);
      },
    });
  }

  /** Connects to each node of a Cluster that is known: the first command for a node need not wait for that. */
  async #connectAll(): Promise<void> {
    if (!isCluster(this.#client)) return;
    const waiting = this.#client.nodes("master").filter(({ status }) => status === "wait");
    await Promise.allSettled(waiting.map((node) => node.connect()));
  }

  #all(): readonly RedisNode[] {
    return [this.#first, ...this.#byAddress.values()];
  }
}

async function runScript(
  client: RedisClient,
  { sha1, source }: Script,
  keys: readonly string[],
  args: readonly RedisArgument[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return client.eval(source, keys.length, ...keys, ...args);
  }
}

function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

/** Host and port of the node that has a key; empty while nobody has its slot. */
function addressOf(cluster: Cluster, key: string): string {
  const keyPrefix = cluster.options.keyPrefix ?? cluster.options.redisOptions?.keyPrefix;
  const slot = new Command("exists", [key], keyPrefix === undefined ? {} : { keyPrefix }).getSlot();
  return cluster.slots[slot]?.[0] ?? "";
}

function connectionTo(cluster: Cluster, address: string): Redis | undefined {
  return cluster.nodes("all").find(({ options }) => `${options.host}:${options.port}` === address);
}
