import { type Cluster, Command, type Redis } from "ioredis";
import { RedisNode } from "./node.js";
import type { RedisClient } from "./options.js";

/** What nodes have in common. */
interface Common {
  readonly client: RedisClient;
  readonly deadlineMs: number;
  readonly lastError: () => Error | undefined;
}

/** The servers behind a client: one, or the nodes of a Cluster, each with a state of its own. */
export class RedisNodes {
  readonly #common: Common;
  /** The only one; of a Cluster what stands for it until its nodes are known. */
  readonly #first: RedisNode;
  readonly #byAddress = new Map<string, RedisNode>();
  #wasReady = false;

  constructor(common: Common) {
    const { client } = common;
    this.#common = common;
    this.#wasReady = client.status === "ready";
    this.#first = new RedisNode({
      ...common,
      connection: () => client,
      isAwaited: () => !this.#wasReady,
      lookFor: () => {},
    });
  }

  /** Whether the client was connected, ever. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** The node that has a key, as known now. */
  of(key: string): RedisNode {
    const { client } = this.#common;
    if (!isCluster(client) || !this.#wasReady) return this.#first;
    const address = addressOf(client, key);
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const node = this.#make(client, address);
    this.#byAddress.set(address, node);
    return node;
  }

  /** The client is connected, for the first time or again. */
  ready(): void {
    this.#wasReady = true;
    for (const node of this.#all()) node.tryNow();
  }

  /** Connects to each node of a Cluster that is known: the first command for a node need not wait for that. */
  async connectAll(): Promise<void> {
    const { client } = this.#common;
    if (!isCluster(client)) return;
    const waiting = client.nodes("master").filter(({ status }) => status === "wait");
    await Promise.allSettled(waiting.map((node) => node.connect()));
  }

  close(): void {
    for (const node of this.#all()) node.close();
  }

  #all(): readonly RedisNode[] {
    return [this.#first, ...this.#byAddress.values()];
  }

  #make(cluster: Cluster, address: string): RedisNode {
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
        if (cluster.slots.some(([owner]) => owner === address)) cluster.refreshSlotsCache();
        else this.#forget(address);
      },
    });
  }

  /** The node has no slots any more. */
  #forget(address: string): void {
    this.#byAddress.get(address)?.close();
    this.#byAddress.delete(address);
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
