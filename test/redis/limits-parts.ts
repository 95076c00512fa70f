import { Redis } from "ioredis";
import { systemClock } from "../../src/core/clock.js";
import type { RateLimitDecision } from "../../src/limits/store.js";
import { RedisConnection } from "../../src/redis/connection.js";
import type { LimitConnection } from "../../src/redis/limits/calls.js";
import { RedisRateLimits } from "../../src/redis/limits/limits.js";
import { type RedisStoreOptions, readRedisOptions } from "../../src/redis/options.js";
import { defineScript, type Script } from "../../src/redis/script.js";
import { TestClock } from "../clock.js";

/** Limits on a real connection. */
export interface OpenLimits {
  readonly limits: RedisRateLimits;
  readonly connection: RedisConnection;
  close(): Promise<void>;
}

/** What a process has: a connection and limits on it. The deadline is generous, for machines that are busy. */
export function openLimits(options: RedisStoreOptions, processes = 1): OpenLimits {
  const settings = readRedisOptions({ deadline: 5000, ...options });
  const connection = new RedisConnection(settings);
  const limits = new RedisRateLimits(connection, { processes }, settings.lease, systemClock);
  return {
    limits,
    connection,
    async close() {
      await limits.close();
      await connection.close();
    },
  };
}

/** The scripts on a real server, at a time that a test sets. */
export class TimedConnection implements LimitConnection {
  readonly prefix = "timed";
  readonly isCluster = false;
  readonly clock = new TestClock(0);
  /** Milliseconds that pass on the way there and back. */
  wayMs = 0;
  readonly #client: Redis;
  readonly #timed = new Map<Script, Script>();
  readonly #startMs = Math.floor(Date.now());

  constructor(url: string) {
    this.#client = new Redis(url, { protocol: 2 });
  }

  async run(script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const timed = this.#timed.get(script) ?? atGivenTime(script);
    this.#timed.set(script, timed);
    this.clock.nowMs += this.wayMs;
    const nowMs = this.#startMs + this.clock.nowMs;
    const seconds = Math.floor(nowMs / 1000);
    const micros = Math.round((nowMs - seconds * 1000) * 1000);
    const answer = await this.#client.eval(timed.source, keys.length, ...keys, ...args, seconds, micros);
    this.clock.nowMs += this.wayMs;
    return answer;
  }

  /** A process of its own on this connection. */
  process(lease?: "auto" | number, processes = 1): RedisRateLimits {
    return new RedisRateLimits(this, { processes }, lease, this.clock);
  }

  close(): void {
    this.#client.disconnect();
  }
}

/** Reads the time from its arguments, and lets keys live long enough for any given time. */
function atGivenTime({ source }: Script): Script {
  const timed = source.replace('redis.call("TIME")', "{ ARGV[#ARGV - 1], ARGV[#ARGV] }");
  const lasting = timed.replace(/("PX"|"PEXPIRE", key), whole\(/, "$1, whole(1000000 + ");
  if (timed === source || lasting === timed) throw new TypeError("the script reads no time, or its keys do not expire");
  return defineScript(lasting);
}

/** An admission: it happened at some moment from `startMs` to `endMs`. */
export interface Admission {
  readonly startMs: number;
  readonly endMs: number;
  readonly cost: number;
}

/**
 * The most by which any interval exceeds what it may hold: `burst` and `perMs` for each millisecond. An
 * interval counts only what certainly happened inside it.
 */
export function worstExcess(admissions: readonly Admission[], burst: number, perMs: number): number {
  const byEnd = [...admissions].sort((one, other) => one.endMs - other.endMs);
  let worst = Number.NEGATIVE_INFINITY;
  for (const startMs of new Set(admissions.map((admission) => admission.startMs))) {
    let units = 0;
    for (const admission of byEnd) {
      if (admission.startMs < startMs) continue;
      units += admission.cost;
      worst = Math.max(worst, units - burst - perMs * (admission.endMs - startMs));
    }
  }
  return worst;
}

/** The most units that are certainly inside one half-open interval of this length. */
export function mostInWindow(admissions: readonly Admission[], windowMs: number): number {
  const byEnd = [...admissions].sort((one, other) => one.endMs - other.endMs);
  let most = 0;
  for (const startMs of new Set(admissions.map((admission) => admission.startMs))) {
    let units = 0;
    for (const admission of byEnd) {
      if (admission.endMs - startMs >= windowMs) break;
      if (admission.startMs >= startMs) units += admission.cost;
    }
    most = Math.max(most, units);
  }
  return most;
}

/** A decision of a store that may answer at once. */
export async function decided(answer: RateLimitDecision | Promise<RateLimitDecision>): Promise<RateLimitDecision> {
  return answer;
}
