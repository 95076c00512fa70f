import { createHash } from "node:crypto";
import { systemClock } from "../core/clock.js";
import type { ReplayStore } from "../jwt/replay.js";
import type { RedisConnection } from "./connection.js";

/** Ids are remembered so much longer than their tokens, should the clocks of machines and server differ. */
const GRACE_MS = 60_000;
/** About 30 years: a longer time is no number for Redis. */
const LONGEST_MS = 1e12;

/**
 * Used tokens that all machines with the same Redis know: each id is a key that goes by itself. A claim is
 * rejected when Redis does not answer: whether it was the first use cannot be known then.
 */
export function redisReplay(connection: RedisConnection): ReplayStore {
  const claim = async (id: string, expiresAt: number) => {
    const remainingMs = Math.ceil(expiresAt * 1000 - systemClock.wallMs()) + GRACE_MS;
    // Used after its end, when it may be forgotten already.
    if (remainingMs <= 0) return false;
    // The hash makes keys of one length of whatever an issuer writes; UTF-16 keeps apart what UTF-8 would not.
    const key = `${connection.prefix}:replay:${createHash("sha256").update(id, "utf16le").digest("base64url")}`;
    const answer = await connection.send(key, (client) =>
      client.set(key, "1", "PX", Math.min(LONGEST_MS, remainingMs), "NX"),
    );
    return answer === "OK";
  };
  return { claim };
}
