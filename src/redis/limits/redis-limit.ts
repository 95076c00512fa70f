import { createHash } from "node:crypto";
import type { RateLimitPolicy } from "../../limits/store.js";
import { type Arithmetic, arithmeticOf } from "./arithmetic.js";
import type { Call } from "./calls.js";
import { KeyStates } from "./key-state.js";

/** Keys are spread over so many hash tags, so that they lie on all nodes of a Cluster and still share calls. */
const HASH_TAGS = 64;
const LONGEST_KEY = 64;
const HASHED = "#";

/** One limit as this process keeps it: its arithmetic, the names of its keys, and what is known of them here. */
export class RedisLimit {
  readonly arithmetic: Arithmetic;
  readonly requests: number;
  readonly windowMs: number;
  readonly keys = new KeyStates();
  /** What the next call will ask, by key. */
  pending = new Map<string, Call>();
  readonly #prefix: string;
  readonly #tag: string;

  constructor(policy: RateLimitPolicy, prefix: string, tag: string) {
    this.arithmetic = arithmeticOf(policy);
    this.requests = policy.requests;
    this.windowMs = policy.windowMs;
    this.#prefix = prefix;
    this.#tag = tag;
  }

  slotOf(key: string): number {
    let hash = 0x811c9dc5;
    for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
    return ((hash >>> 16) ^ hash) & (HASH_TAGS - 1);
  }

  nameOf(key: string, slot: number): string {
    return `${this.#prefix}:limit:{${slot}}:${this.#tag}:${key}`;
  }
}

/** The limits of all policies; policies of the same id and figures share one, as they share their counts. */
export class RedisLimits {
  readonly #prefix: string;
  readonly #byPolicy = new WeakMap<RateLimitPolicy, RedisLimit>();
  readonly #byTag = new Map<string, RedisLimit>();
  #lastPolicy: RateLimitPolicy | undefined;
  #last: RedisLimit | undefined;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  of(policy: RateLimitPolicy): RedisLimit {
    // The same as before, mostly: a refusal from memory takes longer by the WeakMap (docs/performance.md).
    if (policy === this.#lastPolicy && this.#last !== undefined) return this.#last;
    this.#lastPolicy = policy;
    this.#last = this.#byPolicy.get(policy) ?? this.#open(policy);
    return this.#last;
  }

  #open(policy: RateLimitPolicy): RedisLimit {
    // With other figures the stored state would mean something else: a changed limit begins anew.
    const { id, algorithm, requests, windowMs, isAdaptive } = policy;
    const tag = digest(JSON.stringify([id, algorithm, requests, windowMs, isAdaptive])).slice(0, 11);
    const limit = this.#byTag.get(tag) ?? new RedisLimit(policy, this.#prefix, tag);
    this.#byTag.set(tag, limit);
    this.#byPolicy.set(policy, limit);
    return limit;
  }
}

/** A key of bounded length; no short key can be named like the hash of a long one. */
export function boundedKey(key: string): string {
  // Redis is told bytes, and all halves of surrogate pairs would become the same three.
  if (!key.isWellFormed()) return `${HASHED}${digest(Buffer.from(key, "utf16le"))}`;
  if (key.length <= LONGEST_KEY && !key.startsWith(HASHED)) return key;
  return `${HASHED}${digest(key)}`;
}

function digest(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("base64url");
}
