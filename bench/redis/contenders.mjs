// Limiters that keep their counts in Redis, behind one face: decide(key, answered, failed), where
// answered(isAllowed) is called once, at once or later. All clients are ioredis.
import { Redis } from "ioredis";

const HOST = "127.0.0.1";

/**
 * @param plan.port where Redis is
 * @param plan.limit `requests` in `window` seconds
 */
export const contenders = {
  "Cello token bucket": (plan) => cello(plan, "token-bucket"),
  "Cello sliding window": (plan) => cello(plan, "sliding-window"),
  "Cello leased 100": (plan) => cello(plan, "token-bucket", 100),
  "Cello leased auto": (plan) => cello(plan, "token-bucket", "auto"),

  // As the example of its wiki.
  "rate-limiter-flexible": (plan) => flexible(plan, { enableOfflineQueue: false }),
  "rate-limiter-flexible, tuned": (plan) =>
    flexible(
      plan,
      { enableOfflineQueue: false, enableAutoPipelining: true },
      {
        rejectIfRedisNotReady: true,
        // A key that is out is refused in memory.
        inMemoryBlockOnConsumed: plan.limit.requests,
        // The script of the package sets the key first, whether it is there or not: a command more.
        customIncrTtlLuaScript: `
          local consumed = redis.call('incrby', KEYS[1], ARGV[1])
          local ttl = redis.call('pttl', KEYS[1])
          if ttl < 0 then
            redis.call('expire', KEYS[1], ARGV[2])
            ttl = 1000 * ARGV[2]
          end
          return {consumed, ttl}`,
      },
    ),

  // As its README and its example/example.js.
  "@fastify/rate-limit": (plan) => fastify(plan, { connectTimeout: 500, maxRetriesPerRequest: 1 }),
  "@fastify/rate-limit, tuned": (plan) =>
    fastify(plan, { connectTimeout: 500, maxRetriesPerRequest: 1, enableAutoPipelining: true }),
};

/** What a limit of Cello calls for each request: `consume` of its store. */
async function cello({ port, limit }, algorithm, lease) {
  const { RedisStore } = await import("../../dist/redis/index.js");
  // The peers have no deadline either; on a busy machine a missed one would end the measurement.
  const store = new RedisStore({ url: `redis://${HOST}:${port}`, lease, deadline: 10_000 });
  await store.open();
  const policy = policyFor(algorithm, limit);
  return {
    decide(key, answered, failed) {
      const decision = store.consume(policy, key, 1);
      if (decision instanceof Promise) decision.then(({ isAllowed }) => answered(isAllowed), failed);
      else answered(decision.isAllowed);
    },
    close: () => store.close(),
  };
}

/** @returns a limit as a store of Cello is told of it */
export function policyFor(algorithm, { requests, window }) {
  return {
    id: "bench",
    name: "bench",
    algorithm,
    requests,
    windowMs: window * 1000,
    maxKeys: 1_000_000,
    isAdaptive: false,
    requestsInForce: requests,
  };
}

async function flexible({ port, limit }, clientOptions, options = {}) {
  const { RateLimiterRedis } = await import("rate-limiter-flexible");
  const client = await connect(port, clientOptions);
  const { requests: points, window: duration } = limit;
  const limiter = new RateLimiterRedis({ storeClient: client, points, duration, ...options });
  return {
    decide(key, answered, failed) {
      limiter.consume(key).then(
        () => answered(true),
        // A refusal rejects with its figures, a failure with an error.
        (reason) => (reason instanceof Error ? failed(reason) : answered(false)),
      );
    },
    close: () => client.disconnect(),
  };
}

async function fastify({ port, limit }, clientOptions) {
  const { default: RedisStore } = await import("@fastify/rate-limit/store/RedisStore.js");
  const client = await connect(port, clientOptions);
  const store = new RedisStore(false, false, client);
  const { requests, window } = limit;
  return {
    decide(key, answered, failed) {
      store.incr(
        key,
        (error, answer) => (error ? failed(error) : answered(answer.current <= requests)),
        window * 1000,
        requests,
      );
    },
    close: () => client.disconnect(),
  };
}

async function connect(port, options) {
  const client = new Redis({ host: HOST, port, ...options });
  await new Promise((resolve, reject) => client.once("ready", resolve).once("error", reject));
  return client;
}
