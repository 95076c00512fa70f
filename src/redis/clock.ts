import { type Clock, systemClock } from "../core/clock.js";
import type { RedisConnection } from "./connection.js";
import { defineScript, unexpectedReply, WITH_TIME } from "./script.js";

/** Milliseconds after which the server is asked again, beside whatever is going on. */
const FRESH_MS = 10_000;
/** Milliseconds after which its last answer is no answer any more. */
const STALE_MS = 600_000;

/** KEYS: any, so that a Cluster asks the same server always. Answers the clock of the server in milliseconds. */
const NOW = defineScript(`${WITH_TIME} return now`);

/**
 * The clock of Redis, as far as it is known here: what it said, and what has passed since by a clock that
 * nobody sets. It is behind by what an answer takes to come.
 *
 * @returns tells the time in milliseconds since 1970; a Promise while it is not known
 */
export function redisClock(connection: RedisConnection, clock: Clock = systemClock): () => number | Promise<number> {
  let toldMs = 0;
  /** When it was told, by the monotonic clock of this process. */
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<number> | undefined;
  const askOnce = async () => {
    const told = await connection.run(NOW, [`${connection.prefix}:clock`], []);
    if (typeof told !== "number") throw unexpectedReply("time");
    toldMs = told;
    toldAtMs = clock.monotonicMs();
    return told;
  };
  const ask = () => {
    asking ??= askOnce().finally(() => {
      asking = undefined;
    });
    return asking;
  };
  return () => {
    const sinceMs = clock.monotonicMs() - toldAtMs;
    if (sinceMs > STALE_MS) return ask();
    if (sinceMs > FRESH_MS) ask().catch(() => {});
    return toldMs + Math.floor(sinceMs);
  };
}
