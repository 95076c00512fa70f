export type { RedisClient, RedisSentinelOptions, RedisStoreOptions } from "./options.js";
export { RedisStore } from "./redis-store.js";
export { RedisSessionStore } from "./session-store.js";
