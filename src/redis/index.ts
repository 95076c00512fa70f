export type { RedisClient, RedisSentinelOptions, RedisStoreOptions } from "./options.js";
export { RedisSessionStore, RedisStore } from "./redis-store.js";
