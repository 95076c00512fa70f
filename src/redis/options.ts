import { Cluster, type ClusterNode, Redis, type RedisOptions } from "ioredis";
import {
  Fields,
  fitting,
  integer,
  number,
  object,
  optional,
  or,
  type Readers,
  type Settled,
  text,
} from "../core/options.js";

/** A client of ioredis, for one server or a Cluster. */
export type RedisClient = Redis | Cluster;

/** A primary that Sentinels watch. */
export interface RedisSentinelOptions {
  /** The name under which the Sentinels know the primary. */
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
}

/** Options of `RedisStore`: where Redis is (exactly one of `url`, `client`, `cluster`, `sentinel`), and how it is used. */
export interface RedisStoreOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` for TLS. */
  readonly url?: string | undefined;
  /** A client of the application. It is not closed with the store, and its own time-outs hold beside `deadline`. */
  readonly client?: RedisClient | undefined;
  /** Nodes of a Redis Cluster to start from. */
  readonly cluster?: readonly ClusterNode[] | undefined;
  /** A primary that Sentinels watch. */
  readonly sentinel?: RedisSentinelOptions | undefined;
  /** Further options of ioredis for the clients that are made here: user name, password, TLS. */
  readonly connection?: RedisOptions | undefined;
  /** What every key begins with. Default: `"cello"`. */
  readonly prefix?: string | undefined;
  /** How long a command may take, in milliseconds. Default: 50. */
  readonly deadline?: number | undefined;
  /**
   * How many units of a quota a process takes at a time, to decide by itself until they are used: a
   * number, or `"auto"` for about what a key uses in a tenth of a second. Default: none, every decision asks Redis.
   */
  readonly lease?: "auto" | number | undefined;
  /**
   * How many processes share the quotas, at least. They count themselves in Redis; while Redis is down, one that
   * has just started knows this number only. Default: 1.
   */
  readonly processes?: number | undefined;
}

/** How long to wait between attempts to connect, in milliseconds: Redis is back soon after it is back. */
export const RECONNECT_MS = 200;
/** A connection that says nothing for so long while commands wait is given up and made anew, in milliseconds. */
export const SILENCE_MS = 1000;
/** While a slot moves, a command for several of its keys is asked again so often at most, with this pause. */
const ASK_AGAIN_MS = 5;
const MAX_REDIRECTIONS = 6;

/** What a store works with, read from its options. */
export interface RedisSettings {
  readonly client: RedisClient;
  /** Whether the client was made here, and is to be closed here. */
  readonly ownsClient: boolean;
  readonly prefix: string;
  readonly deadlineMs: number;
  readonly lease: "auto" | number | undefined;
  /** So many processes at least. */
  readonly processes: number;
}

const SOURCES = ["url", "client", "cluster", "sentinel"] as const;

const READERS: Readers<Settled<RedisStoreOptions, (typeof SOURCES)[number] | "connection" | "lease">> = {
  // The text may hold a password: it is not repeated.
  url: fitting(
    text(undefined),
    (url) => /^rediss?:\/\/./.test(url),
    "is not the address of a Redis",
    'give "redis://host:6379"',
  ),
  // Not `instanceof`: the application may have another copy of ioredis.
  client: object<RedisClient>(
    ["evalsha", "eval", "duplicate", "disconnect", "on"],
    "a client of ioredis",
    "give new Redis(...) or new Redis.Cluster(...) of ioredis",
  ),
  cluster: optional(undefined, (fields, name, nodes) => {
    if (Array.isArray(nodes) && nodes.length > 0) return nodes as ClusterNode[];
    return fields.wrongType(name, "is not a list of nodes", 'give [{ host: "10.0.0.1", port: 6379 }]');
  }),
  sentinel: optional(undefined, (fields, name, given) => {
    const { name: primary, sentinels } = Object(given) as Partial<RedisSentinelOptions>;
    if (typeof primary === "string" && Array.isArray(sentinels) && sentinels.length > 0) {
      return { name: primary, sentinels };
    }
    const mend = 'give { name: "primary", sentinels: [{ host: "10.0.0.1", port: 26379 }] }';
    return fields.wrongType(name, "lacks the primary's name or the list of Sentinels", mend);
  }),
  // What is in it, ioredis reads.
  connection: (fields, name) => fields.given(name) as RedisOptions | undefined,
  prefix: fitting(
    text("cello"),
    (prefix) => /^[^{}\s]{1,64}$/.test(prefix),
    "cannot begin a key",
    "give 1 to 64 characters without braces and spaces",
  ),
  deadline: number(1, 60_000, "milliseconds", 50),
  lease: or("auto", integer(1, 1_000_000, "cost units", undefined)),
  processes: integer(1, 100_000, "processes", 1),
};

/**
 * Reads the options of a store and makes its client.
 *
 * @throws ConfigError for a field that is unknown, of the wrong type, or cannot be used
 */
export function readRedisOptions(options: RedisStoreOptions): RedisSettings {
  const fields = new Fields("RedisStore", options, READERS);
  const given = SOURCES.filter((name) => fields.has(name));
  const mend = "give exactly one of url, client, cluster and sentinel";
  if (given.length === 0) fields.fail("CELLO_MISSING", "url", "is missing", mend);
  if (given.length > 1) fields.conflict("url", `${given.join(" and ")} are given`, mend);
  const { client, prefix, deadline, lease, processes } = fields.values;
  const ownsClient = client === undefined;
  return { client: client ?? createClient(fields.values), ownsClient, prefix, deadlineMs: deadline, lease, processes };
}

function createClient({ url = "", cluster, sentinel, connection }: RedisStoreOptions): RedisClient {
  const common = commonOptions(connection);
  if (cluster !== undefined) return createCluster(cluster, common);
  if (sentinel === undefined) return new Redis(url, common);
  return new Redis({
    ...common,
    name: sentinel.name,
    sentinels: sentinel.sentinels.map(({ host, port }) => ({ host, port })),
    sentinelRetryStrategy: () => RECONNECT_MS,
  });
}

function commonOptions(connection: RedisOptions | undefined) {
  return {
    // RESP2 is what Redis before 6 and every proxy speak, and nothing here needs more.
    protocol: 2,
    connectTimeout: SILENCE_MS,
    // No socketTimeout: it comes before what has arrived is read, when this process was busy for so long.
    // A command that was lost with its connection may have been carried out: never send it twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Nor later than it was promised: without a connection it fails at once.
    enableOfflineQueue: false,
    // After a failover a name may lead to what is a replica now: the next connection finds the primary.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
    ...connection,
    replyMapping: "legacy",
    retryStrategy: () => RECONNECT_MS,
  } as const satisfies RedisOptions;
}

function createCluster(nodes: readonly ClusterNode[], common: ReturnType<typeof commonOptions>): Cluster {
  return new Cluster([...nodes], {
    redisOptions: common,
    clusterRetryStrategy: () => RECONNECT_MS,
    enableOfflineQueue: false,
    slotsRefreshTimeout: SILENCE_MS,
    // A command that was lost with its connection may have been carried out: never send it twice.
    retryDelayOnFailover: 0,
    // What was refused is asked again where it is known whether there is time for it.
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: ASK_AGAIN_MS,
    maxRedirections: MAX_REDIRECTIONS,
  });
}
