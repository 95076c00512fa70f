import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import type { RateLimitDecision } from "../../limits/store.js";
import type { Cost } from "./arithmetic.js";
import type { Batch, Call } from "./calls.js";
import type { KeyState } from "./key-state.js";
import type { RedisLimit } from "./redis-limit.js";

/** How many processes share the quotas. */
export interface FleetSize {
  /** At least 1. */
  readonly processes: number;
}

/** A lease lasts so long, or less for short windows. */
const LONGEST_LIFE_MS = 500;
/** Shares of a window that a lease lasts at most: what a crashed process held is to be back within a window. */
const LIVES_IN_WINDOW = 4;
/** A process stops to use a lease this share of its life earlier than Redis forgets it: clocks are not the same. */
const MARGIN = 1 / 16;
/** Units are given back after so long without use. */
const IDLE_MS = 200;
/** A lease of a single unit costs Redis more than the decision that it saves: "auto" asks for no such. */
const LEAST_UNITS = 2;
const SWEEP_MS = 100;
/** Where there was too little for a lease, none is asked for again for so long. */
const SCARCE_MS = 30;

interface Grant {
  readonly id: string;
  readonly limit: RedisLimit;
  readonly key: string;
  /** What a unit cost when the units were taken. */
  readonly cost: Cost;
  readonly units: number;
  /** Units beside the lease that nobody else takes. */
  readonly spare: number;
  /** What the key was told beside the lease. */
  readonly left: RateLimitDecision;
  readonly grantedMs: number;
  /** From this moment on, on the monotonic clock, nothing of it may be used. */
  readonly deadlineMs: number;
}

/** Units of a key's quota that this process holds and decides about by itself. */
export class Lease {
  readonly grant: Grant;
  left: number;
  #usedAtMs: number;

  constructor(grant: Grant) {
    this.grant = grant;
    this.left = grant.units;
    this.#usedAtMs = grant.grantedMs;
  }

  /** Whether nobody used it for so long, or may use it any more. */
  isIdle(nowMs: number, idleMs: number): boolean {
    return nowMs >= this.grant.deadlineMs || nowMs - this.#usedAtMs >= idleMs;
  }

  /** Takes units; `undefined` when there are not enough of them, or it is too late to use them. */
  take(amount: number, nowMs: number): RateLimitDecision | undefined {
    if (amount > this.left || nowMs >= this.grant.deadlineMs) return undefined;
    this.left -= amount;
    this.#usedAtMs = nowMs;
    return this.#decision(nowMs);
  }

  /** What a request of this cost would be told; `undefined` when Redis must be asked. */
  peek(amount: number, nowMs: number): RateLimitDecision | undefined {
    return amount > this.left || nowMs >= this.grant.deadlineMs ? undefined : this.#decision(nowMs);
  }

  /** Takes units back that were used; `undefined` when they were not of this lease. */
  giveBack(amount: number, nowMs: number): RateLimitDecision | undefined {
    if (this.left + amount > this.grant.units || nowMs >= this.grant.deadlineMs) return undefined;
    this.left += amount;
    return this.#decision(nowMs);
  }

  #decision(nowMs: number): RateLimitDecision {
    const { left, spare, grantedMs } = this.grant;
    const { resetMs: reset, moreMs: more = reset } = left;
    // The least of two: the difference of two times may come out a little more than what was added.
    const resetMs = Math.max(0, Math.min(reset, Math.ceil(grantedMs + reset - nowMs)));
    const moreMs = Math.max(1, Math.min(more, Math.ceil(grantedMs + more - nowMs)));
    return {
      isAllowed: true,
      limit: left.limit,
      remaining: this.left + spare,
      resetMs,
      moreMs: Math.min(resetMs, moreMs),
      retryAfterMs: 0,
      wasReduced: false,
    };
  }
}

/** Takes leases, reports them, and gives back those that are not used. */
export class Leases {
  readonly #size: "auto" | number;
  readonly #fleet: FleetSize;
  readonly #clock: Clock;
  readonly #batch: Batch;
  readonly #processId = randomBytes(6).toString("base64url");
  #count = 0;
  readonly #held = new Set<KeyState>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(size: "auto" | number, fleet: FleetSize, clock: Clock, batch: Batch) {
    this.#size = size;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#batch = batch;
  }

  /**
   * Before a call that takes from a key goes out: reports the lease that was not enough, and asks for
   * the next.
   *
   * @param onSettled told with those that waited for the lease
   */
  accompany(call: Call, onSettled: (state: KeyState, error: unknown) => void): void {
    const { limit, lastTaken } = call;
    const state = limit.keys.get(call.key);
    if (lastTaken === undefined || state === undefined || state.waiting !== undefined) return;
    this.report(state, call);
    const units = Math.min(this.#wanted(state), Math.floor(limit.requests / 2));
    if (units < 1) return;
    this.#request(call, state, limit.arithmetic.costOf(1, lastTaken.inForce), units);
    state.waiting = [];
    call.whenSettled((error) => onSettled(state, error));
  }

  /** Ends a key's lease, with the next call for the key: what of it was not used goes back. */
  report(state: KeyState, call: Call): void {
    const { lease } = state;
    if (lease === undefined) return;
    // From here on nothing of it is used: it may be given back at any moment.
    state.lease = undefined;
    this.#held.delete(state);
    const { id, cost } = lease.grant;
    const unused = cost.units.map((one) => one * lease.left);
    // Never sent again, because it may have been carried out: the lease ends by itself.
    call.operations.unshift({ name: "report", args: [id, ...unused], cost: undefined, waiting: [] });
  }

  close(): void {
    this.#giveBack(() => true);
  }

  #giveBackIdle(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#giveBack((lease) => lease.isIdle(nowMs, IDLE_MS));
  }

  #giveBack(isOver: (lease: Lease) => boolean): void {
    for (const state of this.#held) {
      const { lease } = state;
      if (lease === undefined || !isOver(lease)) continue;
      this.report(state, this.#batch.callFor(lease.grant.limit, lease.grant.key));
    }
    if (this.#held.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** A key that is used rarely gets no lease, and one that is nearly out none for a while. */
  #wanted(state: KeyState): number {
    if (this.#size !== "auto") return this.#size;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < state.noLeaseUntilMs) return 0;
    const recent = Math.round(state.recentUse(nowMs));
    return recent < LEAST_UNITS ? 0 : recent;
  }

  #request({ limit, key, operations }: Call, state: KeyState, cost: Cost, units: number): void {
    const lifeMs = Math.min(LONGEST_LIFE_MS, limit.windowMs / LIVES_IN_WINDOW);
    const id = `${this.#processId}${(this.#count++).toString(36)}`;
    const { processes } = this.#fleet;
    // The fewest units worth it, and by what to divide what is there.
    const [least, divisor] = this.#size === "auto" ? [LEAST_UNITS, 2 * Math.max(1, processes)] : [1, 1];
    const args = [id, units, least, divisor, limit.arithmetic.ticks(lifeMs), ...cost.figures];
    operations.push({
      name: "lease",
      args,
      cost,
      waiting: [],
      onReply: (reply, sentMs) => {
        if (reply.allowed < 1) {
          state.noLeaseUntilMs = this.#clock.monotonicMs() + SCARCE_MS;
          return;
        }
        const left = reply.admitted(0);
        state.lease = new Lease({
          id,
          limit,
          key,
          cost,
          units: reply.allowed,
          spare: processes <= 1 ? left.remaining : 0,
          // Units of a window that are used come back a window later; those that are held, when the lease ends before.
          left: { ...left, resetMs: Math.min(left.resetMs, Math.ceil(limit.windowMs)) },
          grantedMs: this.#clock.monotonicMs(),
          // Counted from before the request was sent, so before Redis began to count.
          deadlineMs: sentMs + lifeMs * (1 - MARGIN),
        });
        this.#held.add(state);
        this.#sweep ??= setInterval(() => this.#giveBackIdle(), SWEEP_MS).unref();
      },
    });
  }
}
