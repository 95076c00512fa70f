import type { RateLimitDecision } from "../../limits/store.js";
import type { Cost } from "./arithmetic.js";
import type { Lease } from "./leases.js";

const MOST_KEYS = 10_000;
/** Oldest keys that are looked at when one must go. */
const MOST_LOOKED_AT = 8;
/** Milliseconds over which the use of a key is measured. */
const METER_MS = 100;
/** Milliseconds after which Redis is asked again about a key that is out: another process may have reset it. */
const ASK_AGAIN_MS = 1000;
/** The clock's times are doubles: after years, their differences are wrong by less. */
const ROUNDING_MS = 1e-6;

/** A refusal that holds until a known moment, so that nobody needs to ask before. */
export class Refusal {
  readonly #cost: Cost;
  readonly #decision: RateLimitDecision;
  readonly #untilMs: number;
  readonly #retryAtMs: number;
  readonly #resetAtMs: number;
  readonly #moreAtMs: number;
  #askAgainAtMs: number;

  /**
   * @param sentMs when it was asked: the moment of the decision is not before
   * @param heldMs the refusal is good for no longer, because units that others hold may come back; 0: none are held
   * @param leastMs the key is not asked for again before
   */
  constructor(cost: Cost, decision: RateLimitDecision, sentMs: number, heldMs: number, leastMs: number) {
    const { retryAfterMs, resetMs, moreMs = resetMs } = decision;
    this.#cost = cost;
    this.#decision = decision;
    this.#untilMs = sentMs + Math.max(leastMs, heldMs > 0 ? Math.min(heldMs, retryAfterMs) : retryAfterMs);
    this.#retryAtMs = sentMs + Math.max(leastMs, retryAfterMs);
    this.#resetAtMs = Math.max(this.#retryAtMs, sentMs + resetMs);
    this.#moreAtMs = sentMs + Math.max(leastMs, moreMs);
    this.#askAgainAtMs = sentMs + ASK_AGAIN_MS;
  }

  /** Whether the one who comes now should ask, all the same, whether it still is so: one in a second. */
  takeQuestion(nowMs: number): boolean {
    if (nowMs < this.#askAgainAtMs) return false;
    this.#askAgainAtMs = nowMs + ASK_AGAIN_MS;
    return true;
  }

  holds(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** The refusal of a request that costs no less, with the times that are left; `undefined`: Redis must be asked. */
  answer(amount: number, inForce: number, nowMs: number): RateLimitDecision | undefined {
    // A limit that was raised since may admit it.
    if (nowMs >= this.#untilMs || amount < this.#cost.amount || inForce > this.#cost.inForce) return undefined;
    const resetMs = wholeMs(this.#resetAtMs - nowMs);
    // What costs more must wait longer; when all is there again is late enough.
    const retryAfterMs = amount === this.#cost.amount ? wholeMs(this.#retryAtMs - nowMs) : resetMs;
    const moreMs = wholeMs(this.#moreAtMs - nowMs);
    return { ...this.#decision, resetMs, moreMs: Math.min(moreMs, retryAfterMs), retryAfterMs };
  }
}

/** Rounded up, but for what the difference of two times in milliseconds comes out wrong by; at least 1. */
function wholeMs(span: number): number {
  return Math.max(1, Math.ceil(span - ROUNDING_MS));
}

export interface WaitingRequest {
  readonly amount: number;
  readonly inForce: number;
  resolve(decision: RateLimitDecision | Promise<RateLimitDecision>): void;
  reject(error: unknown): void;
}

export class KeyState {
  refusal: Refusal | undefined;
  lease: Lease | undefined;
  /** Those that wait while a lease is on its way; `undefined` when none is. */
  waiting: WaitingRequest[] | undefined;
  /** No lease is asked for before: there was too little to grant one. */
  noLeaseUntilMs = Number.NEGATIVE_INFINITY;
  #periodMs = Number.NEGATIVE_INFINITY;
  #used = 0;
  #usedBefore = 0;

  use(amount: number, nowMs: number): void {
    const sinceMs = nowMs - this.#periodMs;
    if (sinceMs >= METER_MS) {
      this.#usedBefore = sinceMs < 2 * METER_MS ? this.#used : 0;
      this.#used = 0;
      this.#periodMs = nowMs;
    }
    this.#used += amount;
  }

  /** About the units that were used in the last 100 ms. */
  recentUse(nowMs: number): number {
    const sinceMs = nowMs - this.#periodMs;
    if (sinceMs >= 2 * METER_MS) return 0;
    if (sinceMs >= METER_MS) return this.#used * (2 - sinceMs / METER_MS);
    return this.#used + this.#usedBefore * (1 - sinceMs / METER_MS);
  }

  get isBusy(): boolean {
    return this.lease !== undefined || this.waiting !== undefined;
  }
}

/** A bounded table of keys: the oldest goes first, but none that is out for one that is not. */
export class KeyStates {
  readonly #keys = new Map<string, KeyState>();

  constructor(readonly most = MOST_KEYS) {}

  get size(): number {
    return this.#keys.size;
  }

  get(key: string): KeyState | undefined {
    return this.#keys.get(key);
  }

  /** The key's entry, made if need be; `undefined` when the table is full of keys that are in use or out. */
  open(key: string, nowMs: number, isForRefusal = false): KeyState | undefined {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    if (this.#keys.size >= this.most && !this.#dropOldest(nowMs, isForRefusal)) return undefined;
    const made = new KeyState();
    this.#keys.set(key, made);
    return made;
  }

  refuse(key: string, refusal: Refusal, nowMs: number): void {
    const state = this.open(key, nowMs, true);
    if (state === undefined) return;
    state.refusal = refusal;
    this.#keys.delete(key);
    this.#keys.set(key, state);
  }

  /** Of the oldest keys, those that are in use or out become the newest, until one is found that is neither. */
  #dropOldest(nowMs: number, isForRefusal: boolean): boolean {
    let looked = 0;
    let oldestOut: string | undefined;
    for (const [key, state] of this.#keys) {
      this.#keys.delete(key);
      if (!state.isBusy && state.refusal?.holds(nowMs) !== true) return true;
      this.#keys.set(key, state);
      if (!state.isBusy) oldestOut ??= key;
      if (++looked === MOST_LOOKED_AT) break;
    }
    // One that is out makes room for another that is, and for nothing else.
    return isForRefusal && oldestOut !== undefined && this.#keys.delete(oldestOut);
  }
}
