import type { Redis } from "ioredis";
import { RECONNECT_MS, type RedisClient, SILENCE_MS } from "./options.js";

/** What hears the messages of a channel. */
export interface ChannelListener {
  onMessage(message: string): void;
  /** After each (re)connection: messages may have been missed before, and none is from now on. */
  onConnected(): void;
}

/**
 * A connection that listens to channels, beside that for commands: Redis wants one of its own.
 *
 * In a Cluster it is one to any node, because each node hears what is published at the others.
 */
export class RedisSubscriber {
  readonly #source: RedisClient;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  #client: Redis | undefined;
  #retry: NodeJS.Timeout | undefined;
  #pulse: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param source the client whose options and nodes are used; nothing is connected before `listen` */
  constructor(source: RedisClient) {
    this.#source = source;
  }

  /** Listens to a channel from now on, or from the moment when there is a connection. */
  listen(channel: string, listener: ChannelListener): void {
    const known = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, known.add(listener));
    if (this.#client === undefined) this.#connect();
    else if (this.#client.status === "ready") void this.#subscribe(this.#client, [channel]);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#pulse);
    this.#client?.disconnect();
  }

  #connect(): void {
    if (this.#isClosed) return;
    const client = duplicate(this.#source);
    this.#client = client;
    if (client === undefined) {
      this.#connectLater();
      return;
    }
    client.on("error", ignore);
    client.on("ready", () => void this.#subscribe(client, [...this.#listeners.keys()]));
    client.on("message", (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.onMessage(message);
    });
    client.on("end", () => this.#connectLater());
    client.connect().catch(ignore);
    // Who only listens never learns that the other end is gone: a PING must be answered within SILENCE_MS.
    this.#pulse ??= setInterval(() => {
      if (this.#client?.status === "ready") this.#client.ping().catch(ignore);
    }, SILENCE_MS).unref();
  }

  #connectLater(): void {
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => this.#connect(), RECONNECT_MS).unref();
  }

  async #subscribe(client: Redis, channels: readonly string[]): Promise<void> {
    try {
      await client.subscribe(...channels);
    } catch {
      // With the connection: the next one subscribes to everything.
      client.disconnect();
      return;
    }
    if (this.#isClosed || client !== this.#client) return;
    for (const channel of channels) {
      for (const listener of this.#listeners.get(channel) ?? []) listener.onConnected();
    }
  }
}

/** A client that connects once; `undefined` when a Cluster knows no node yet. */
function duplicate(source: RedisClient): Redis | undefined {
  const node = "nodes" in source ? anyOf(source.nodes("all")) : source;
  return node?.duplicate({
    lazyConnect: true,
    readOnly: false,
    enableAutoPipelining: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
    retryStrategy: () => null,
  });
}

function anyOf<Value>(values: readonly Value[]): Value | undefined {
  return values[Math.floor(Math.random() * values.length)];
}

function ignore(): void {}
