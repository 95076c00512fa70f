import type { RedisStoreOptions } from "../../src/redis/options.js";

/** Processes that share a store. */
export const PROCESSES = 3;
/** Requests that a key may make in a window. */
export const QUOTA = 60;
export const WINDOW_SECONDS = 60;
/** Of a token, a session cookie: nothing here is secret. */
export const SECRET = "a secret of more than thirty-two bytes, for the lab of faults";

/** What a process of the fleet is told. */
export interface ServerSettings {
  readonly redis: RedisStoreOptions;
  readonly secret: string;
  /** How wrong its clock is, in milliseconds. */
  readonly clockMs: number;
}
