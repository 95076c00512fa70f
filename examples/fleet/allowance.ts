import { LIMIT, type StoreEvent } from "./policy.js";

const WINDOW_MS = LIMIT.window * 1000;

/** A time in which one bucket was in use, and how much it holds. */
interface Bucket {
  readonly capacity: number;
  readonly fromMs: number;
  untilMs: number;
}

/**
 * The most that the whole fleet may have admitted up to a moment.
 *
 * A bucket grants what it holds, and what flows in while it is in use. Redis has one, and an empty
 * Redis a new one. A server that loses Redis has one of its own, its share of the limit, until it has
 * Redis again.
 */
export class Allowance {
  readonly #buckets: Bucket[] = [];
  #redis: Bucket | undefined;
  readonly #shares = new Map<number, Bucket>();

  /** Redis is started, empty. */
  redisStarts(atMs: number): void {
    this.#redis = this.#add(LIMIT.requests, atMs);
  }

  redisEnds(atMs: number): void {
    if (this.#redis !== undefined) this.#redis.untilMs = atMs;
  }

  /** What a server tells of its store. */
  storeChanged(server: number, { kind, store, atMs, processes }: StoreEvent): void {
    if (store !== "rate-limit") return;
    this.#endShare(server, atMs);
    if (kind === "store.error") this.#shares.set(server, this.#add(shareOf(processes), atMs));
  }

  serverEnds(server: number, atMs: number): void {
    this.#endShare(server, atMs);
  }

  /** The limit of everything that was admitted before this moment. */
  upTo(atMs: number): number {
    return Math.floor(this.#buckets.reduce((sum, bucket) => sum + grantedBy(bucket, atMs), 0));
  }

  #add(capacity: number, fromMs: number): Bucket {
    const bucket = { capacity, fromMs, untilMs: Number.POSITIVE_INFINITY };
    this.#buckets.push(bucket);
    return bucket;
  }

  #endShare(server: number, atMs: number): void {
    const share = this.#shares.get(server);
    if (share !== undefined) share.untilMs = atMs;
    this.#shares.delete(server);
  }
}

/** What one of several processes grants while it is alone. */
export function shareOf(processes: number): number {
  return Math.max(1, Math.floor(LIMIT.requests / processes));
}

function grantedBy({ capacity, fromMs, untilMs }: Bucket, atMs: number): number {
  if (atMs < fromMs) return 0;
  return capacity + (capacity * (Math.min(atMs, untilMs) - fromMs)) / WINDOW_MS;
}
