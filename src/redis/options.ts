import { Cluster, type ClusterNode, Redis, type RedisOptions } from "ioredis";
import { ConfigFields, describeKind } from "../core/options.js";

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

const SOURCES = ["url", "client", "cluster", "sentinel"] as const;
const FIELDS = [...SOURCES, "connection", "prefix", "deadline", "lease", "processes"] as const;

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

/**
 * Reads the options of a store and makes its client.
 *
 * @throws ConfigError for a field that is unknown, of the wrong type, or cannot be used
 */
export function readRedisOptions(options: RedisStoreOptions): RedisSettings {
  const fields = new ConfigFields("RedisStore", options, FIELDS);
  const given = SOURCES.filter((name) => fields.raw(name) !== undefined);
  if (given.length !== 1) {
    fields.fail(
      given.length === 0 ? "CELLO_MISSING" : "CELLO_CONFLICT",
      "url",
      given.length === 0 ? "is missing" : `${given.join(" and ")} are given`,
      "give exactly one of url, client, cluster and sentinel",
    );
  }
  const prefix = fields.string("prefix", "cello");
  if (!/^[^{}\s]{1,64}$/.test(prefix)) {
    fields.fail(
      "CELLO_INVALID_VALUE",
      "prefix",
      "cannot begin a key",
      "give 1 to 64 characters without braces and spaces",
    );
  }
  return {
    prefix,
    deadlineMs: fields.number("deadline", 50, { min: 1, max: 60_000, unit: "milliseconds" }),
    lease: readLease(fields),
    processes: fields.number("processes", 1, { min: 1, max: 100_000, whole: true, unit: "processes" }),
    client: options.client === undefined ? createClient(fields, options) : readClient(fields, options.client),
    ownsClient: options.client === undefined,
  };
}

function readLease(fields: ConfigFields): "auto" | number | undefined {
  if (fields.raw("lease") === "auto") return "auto";
  return fields.number("lease", undefined, { min: 1, max: 1_000_000, whole: true, unit: "cost units" });
}

function readClient(fields: ConfigFields, client: unknown): RedisClient {
  if (isClient(client)) return client;
  return fields.fail(
    "CELLO_WRONG_TYPE",
    "client",
    `is ${describeKind(client)}, not a client of ioredis`,
    "give new Redis(...) or new Redis.Cluster(...) of ioredis",
  );
}

/** Not `instanceof`: the application may have another copy of ioredis. */
function isClient(value: unknown): value is RedisClient {
  return (
    typeof value === "object" &&
    value !== null &&
    ["evalsha", "eval", "duplicate", "disconnect", "on"].every((name) => typeof Reflect.get(value, name) === "function")
  );
}

function createClient(fields: ConfigFields, { cluster, sentinel, connection }: RedisStoreOptions): RedisClient {
  const common = commonOptions(connection);
  if (cluster !== undefined) return createCluster(fields, cluster, common);
  if (sentinel !== undefined) return new Redis({ ...common, ...readSentinel(fields, sentinel) });
  const address = fields.string("url", "");
  if (!/^rediss?:\/\/./.test(address)) {
    // The text may hold a password: it is not repeated.
    fields.fail("CELLO_INVALID_VALUE", "url", "is not the address of a Redis", 'give "redis://host:6379"');
  }
  return new Redis(address, common);
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

function createCluster(
  fields: ConfigFields,
  nodes: readonly ClusterNode[],
  common: ReturnType<typeof commonOptions>,
): Cluster {
  if (!Array.isArray(nodes) || nodes.length === 0) {
    fields.fail("CELLO_WRONG_TYPE", "cluster", "is not a list of nodes", 'give [{ host: "10.0.0.1", port: 6379 }]');
  }
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

function readSentinel(fields: ConfigFields, { name, sentinels }: RedisSentinelOptions) {
  if (typeof name !== "string" || !Array.isArray(sentinels) || sentinels.length === 0) {
    fields.fail(
      "CELLO_WRONG_TYPE",
      "sentinel",
      "lacks the primary's name or the list of Sentinels",
      'give { name: "primary", sentinels: [{ host: "10.0.0.1", port: 26379 }] }',
    );
  }
  return {
    name,
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    sentinelRetryStrategy: () => RECONNECT_MS,
  };
}
