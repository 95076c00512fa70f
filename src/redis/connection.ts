import { setTimeout as wait } from "node:timers/promises";
import { mayAskAgain, RedisUnavailableError, withoutCommand } from "./failures.js";
import { connect } from "./node.js";
import { RedisNodes } from "./nodes.js";
import type { RedisClient, RedisSettings } from "./options.js";
import type { Script } from "./script.js";

/** What stands in a command: a key or an argument. */
export type RedisArgument = string | number | Buffer;

export { RedisDeadlineError, RedisUnavailableError } from "./failures.js";

/** Milliseconds to the second attempt at what a Cluster has not done because slots were moving. */
const ASK_AGAIN_MS = 10;

const CLOSED = new RedisUnavailableError("the store is closed");

/**
 * The way to Redis: every command has a deadline, and a server that misses one is not asked again until
 * it answers a trial (`RedisNode`).
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
  readonly #nodes: RedisNodes;
  /** Settles when the client was ready for the first time. */
  readonly #firstReady: Promise<void>;
  #isClosed = false;
  /** Why the client is not connected, as far as it says. */
  #lastError: Error | undefined;
  readonly #onReady: () => void;

  constructor({ client, ownsClient, prefix, deadlineMs }: RedisSettings) {
    this.prefix = prefix;
    this.isCluster = client.isCluster;
    this.#client = client;
    this.#ownsClient = ownsClient;
    this.#nodes = new RedisNodes({ client, deadlineMs, lastError: () => this.#lastError });
    let announce = () => {};
    this.#firstReady = this.#nodes.wasReady ? Promise.resolve() : new Promise((resolve) => (announce = resolve));
    this.#onReady = () => {
      this.#nodes.ready();
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
    await Promise.race([this.#firstReady.then(() => this.#nodes.connectAll()), timeout]);
    clearTimeout(timer);
    return this.#nodes.wasReady;
  }

  /**
   * Runs a script by its hash, and loads it where the server does not have it.
   *
   * @param keys all in one hash slot, should Redis be a Cluster
   * @returns what the script returns; rejects when Redis fails or does not answer in time
   */
  run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.send(keys[0] ?? "", (client) => runScript(client, script, keys, args));
  }

  /** Like `run`, for a call that collected already what one turn of the event loop asks: it is written at once. */
  runCollected(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(keys[0] ?? "", (client) => runScript(client, script, keys, args), true);
  }

  /**
   * Sends commands, all of them under one deadline, unless the server is known to be down.
   *
   * @param key the key of the commands, or one of them: says which node of a Cluster is asked
   */
  send<Answer>(key: string, command: (client: RedisClient) => Promise<Answer>): Promise<Answer> {
    return this.#send(key, command, false);
  }

  /** Ends the connections that were made here; commands fail at once from now on. Calling it again does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#nodes.close();
    this.#client.off("ready", this.#onReady);
    if (this.#ownsClient) this.#client.disconnect();
  }

  async #send<Answer>(
    key: string,
    command: (client: RedisClient) => Promise<Answer>,
    isCollected: boolean,
  ): Promise<Answer> {
    try {
      return await this.#sendOnce(key, command, isCollected);
    } catch (error) {
      if (!mayAskAgain(error)) throw error;
    }
    await wait(ASK_AGAIN_MS);
    return this.#sendOnce(key, command, isCollected);
  }

  async #sendOnce<Answer>(
    key: string,
    command: (client: RedisClient) => Promise<Answer>,
    isCollected: boolean,
  ): Promise<Answer> {
    if (this.#isClosed) throw CLOSED;
    const node = this.#nodes.of(key);
    if (node.outage !== undefined) throw node.outage;
    const write = () => {
      // What waited until the nodes of a Cluster were known waits for the connection to its own node now.
      const owner = this.#nodes.of(key);
      return owner === node ? command(this.#client) : owner.ask(() => command(this.#client), isCollected);
    };
    try {
      return await node.ask(write, isCollected);
    } catch (error) {
      // The key may have moved meanwhile: it is the node that was asked last that has failed.
      this.#nodes.of(key).failed(error);
      throw error;
    }
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
