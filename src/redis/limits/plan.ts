import { createHash } from "node:crypto";
import type { RateLimitPolicy } from "../../limits/store.js";
import type { KeyCall } from "./batch.js";
import { BucketFigures } from "./bucket-figures.js";
import type { LimitFigures } from "./figures.js";
import { LocalKeys } from "./local-keys.js";
import { WindowFigures } from "./window-figures.js";

/** Keys are spread over so many hash tags, so that they lie on all nodes of a Cluster and still share calls. */
const HASH_TAGS = 64;
/** Longer keys of the application are replaced by their hash. */
const LONGEST_KEY = 64;
const HASHED = "#";

/** One limit as this process keeps it: its figures, the names of its keys, and what is known of them here. */
export class LimitPlan {
  readonly figures: LimitFigures;
  readonly requests: number;
  readonly windowMs: number;
  readonly isAdaptive: boolean;
  readonly locals = new LocalKeys();
  /** What the next call will ask, by key. */
  pending = new Map<string, KeyCall>();
  readonly #prefix: string;
  readonly #tag: string;

  constructor(policy: RateLimitPolicy, prefix: string, tag: string) {
    this.figures = policy.algorithm === "sliding-window" ? new WindowFigures(policy) : new BucketFigures(policy);
    this.requests = policy.requests;
    this.windowMs = policy.windowMs;
    this.isAdaptive = policy.isAdaptive;
    this.#prefix = prefix;
    this.#tag = tag;
  }

  /** Which of the hash tags a key has. */
  slotOf(key: string): number {
    let hash = 0x811c9dc5;
    for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
    return ((hash >>> 16) ^ hash) & (HASH_TAGS - 1);
  }

  /** The name of a key in Redis. */
  nameOf(key: string, slot: number): string {
    return `${this.#prefix}:limit:{${slot}}:${this.#tag}:${key}`;
  }

  /** Units per window that are granted now, as a decision tells. */
  limit(inForce: number): number {
    return this.isAdaptive ? Math.max(1, Math.floor(inForce)) : this.requests;
  }
}

/** The plans of all policies; policies of the same id and figures share one, as they share their counts. */
export class LimitPlans {
  readonly #byPolicy = new WeakMap<RateLimitPolicy, LimitPlan>();
  readonly #byTag = new Map<string, LimitPlan>();
  #lastPolicy: RateLimitPolicy | undefined;
  #lastPlan: LimitPlan | undefined;

  constructor(readonly prefix: string) {}

  of(policy: RateLimitPolicy): LimitPlan {
    if (policy === this.#lastPolicy && this.#lastPlan !== undefined) return this.#lastPlan;
    const plan = this.#byPolicy.get(policy) ?? this.#open(policy);
    this.#byPolicy.set(policy, plan);
    this.#lastPolicy = policy;
    this.#lastPlan = plan;
    return plan;
  }

  #open(policy: RateLimitPolicy): LimitPlan {
    // With other figures the stored state would mean something else: a changed limit begins anew.
    const { id, algorithm, requests, windowMs, isAdaptive } = policy;
    const tag = digest(JSON.stringify([id, algorithm, requests, windowMs, isAdaptive])).slice(0, 11);
    const plan = this.#byTag.get(tag) ?? new LimitPlan(policy, this.prefix, tag);
    this.#byTag.set(tag, plan);
    return plan;
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
