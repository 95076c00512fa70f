import type { Clock } from "../../core/clock.js";
import type { MaybePromise } from "../../core/later.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../../limits/store.js";
import { Batch, type Call, type LimitConnection } from "./calls.js";
import { type KeyState, Refusal } from "./key-state.js";
import { type FleetSize, Leases } from "./leases.js";
import { boundedKey, type RedisLimit, RedisLimits } from "./redis-limit.js";

/** With leases, a key that is out is not asked for again before so many milliseconds, or this share of its window. */
const LEASED_PAUSE_MS = 20;
const LEASED_PAUSES_IN_WINDOW = 50;

/**
 * The counts of limits in Redis, shared by all processes.
 *
 * Without leases the decisions are exact: a script decides and takes in one step, by the server's clock.
 * What is asked in one turn of the event loop goes out together. A key that is out is refused here until
 * it has room again; once a second Redis is asked whether another process has reset it.
 *
 * With leases a process takes units in advance and decides by itself while they last. Units that are held
 * count as taken, so the sum over all processes never exceeds a limit; units that are held unused may be
 * missing elsewhere for a while.
 */
export class RedisRateLimits implements RateLimitStore {
  readonly #clock: Clock;
  readonly #limits: RedisLimits;
  readonly #batch: Batch;
  readonly #leases: Leases | undefined;

  /** @param lease units that a process takes at a time; `undefined`: every decision asks Redis */
  constructor(connection: LimitConnection, fleet: FleetSize, lease: "auto" | number | undefined, clock: Clock) {
    this.#clock = clock;
    this.#limits = new RedisLimits(connection.prefix);
    this.#batch = new Batch(connection, clock, {
      beforeSending: (call) => this.#leases?.accompany(call, (state, error) => this.#serve(call, state, error)),
      refused: ({ limit, key }, cost, decision, heldMs, sentMs) => {
        const pauseMs = lease === undefined ? 0 : Math.min(LEASED_PAUSE_MS, limit.windowMs / LEASED_PAUSES_IN_WINDOW);
        limit.keys.refuse(key, new Refusal(cost, decision, sentMs, heldMs, pauseMs), clock.monotonicMs());
      },
    });
    this.#leases = lease === undefined ? undefined : new Leases(lease, fleet, clock, this.#batch);
  }

  consume(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    const limit = this.#limits.of(policy);
    const bounded = boundedKey(key);
    return cost < 0
      ? this.#giveBack(limit, bounded, -cost, policy.requestsInForce)
      : this.#take(limit, bounded, cost, policy.requestsInForce);
  }

  peek(policy: RateLimitPolicy, key: string, cost = 1): MaybePromise<RateLimitDecision> {
    const limit = this.#limits.of(policy);
    const bounded = boundedKey(key);
    const leased = limit.keys.get(bounded)?.lease?.peek(cost, this.#clock.monotonicMs());
    return leased ?? this.#batch.callFor(limit, bounded).decide("peek", cost, policy.requestsInForce);
  }

  charge(policy: RateLimitPolicy, key: string, cost: number): Promise<RateLimitDecision> {
    const call = this.#withoutLease(policy, key);
    const { arithmetic } = call.limit;
    const inForce = policy.requestsInForce;
    // Told as to a request of one unit that comes next.
    const next = arithmetic.costOf(1, inForce);
    const charge = call.ask({ name: "charge", args: arithmetic.charge(cost, inForce), cost: next, waiting: [] });
    return charge.finally(() => forgetRefusal(call));
  }

  reset(policy: RateLimitPolicy, key: string): Promise<void> {
    const call = this.#withoutLease(policy, key);
    call.operations.push({ name: "reset", args: [], cost: undefined, waiting: [] });
    const reset = new Promise<void>((resolve, reject) => {
      call.whenSettled((error) => (error === undefined ? resolve() : reject(error)));
    });
    return reset.finally(() => forgetRefusal(call));
  }

  /** Gives back all leases. Decisions that are under way are waited for. */
  async close(): Promise<void> {
    this.#leases?.close();
    await this.#batch.settled();
    // A lease that was on its way has come.
    this.#leases?.close();
    await this.#batch.settled();
  }

  /** The next call for a key, which gives back what is held here and forgets that the key was out. */
  #withoutLease(policy: RateLimitPolicy, key: string): Call {
    const limit = this.#limits.of(policy);
    const bounded = boundedKey(key);
    const call = this.#batch.callFor(limit, bounded);
    forgetRefusal(call);
    const state = limit.keys.get(bounded);
    if (state !== undefined) this.#leases?.report(state, call);
    return call;
  }

  #take(limit: RedisLimit, key: string, cost: number, inForce: number): MaybePromise<RateLimitDecision> {
    const state = limit.keys.get(key);
    if (state === undefined) return this.#ask(limit, key, cost, inForce);
    const nowMs = this.#clock.monotonicMs();
    const { refusal, waiting } = state;
    const refused = refusal?.answer(cost, inForce, nowMs);
    if (refusal !== undefined && refused !== undefined) {
      if (!refusal.takeQuestion(nowMs)) return refused;
      return this.#ask(limit, key, cost, inForce).then(
        (decision) => {
          if (decision.isAllowed && state.refusal === refusal) state.refusal = undefined;
          return decision;
        },
        // Nobody is set free by an outage.
        () => refused,
      );
    }
    if (waiting !== undefined) {
      return new Promise((resolve, reject) => waiting.push({ amount: cost, inForce, resolve, reject }));
    }
    const taken = state.lease?.take(cost, nowMs);
    if (taken === undefined) return this.#ask(limit, key, cost, inForce);
    state.use(cost, nowMs);
    return taken;
  }

  #ask(limit: RedisLimit, key: string, cost: number, inForce: number): Promise<RateLimitDecision> {
    if (this.#leases !== undefined) {
      const nowMs = this.#clock.monotonicMs();
      limit.keys.open(key, nowMs)?.use(cost, nowMs);
    }
    return this.#batch.callFor(limit, key).decide("take", cost, inForce);
  }

  #giveBack(limit: RedisLimit, key: string, cost: number, inForce: number): MaybePromise<RateLimitDecision> {
    forgetRefusal({ limit, key });
    const kept = limit.keys.get(key)?.lease?.giveBack(cost, this.#clock.monotonicMs());
    if (kept !== undefined) return kept;
    const answer = this.#batch.callFor(limit, key).decide("give", cost, inForce);
    // A refusal from before may have come in between.
    return answer.finally(() => forgetRefusal({ limit, key }));
  }

  /** Answers those that waited for a lease, in the order in which they came. */
  #serve({ limit, key }: Call, state: KeyState, error: unknown): void {
    const waiting = state.waiting ?? [];
    state.waiting = undefined;
    for (const { amount, inForce, resolve, reject } of waiting) {
      if (error === undefined) resolve(this.#take(limit, key, amount, inForce));
      else reject(error);
    }
  }
}

function forgetRefusal({ limit, key }: { readonly limit: RedisLimit; readonly key: string }): void {
  const state = limit.keys.get(key);
  if (state !== undefined) state.refusal = undefined;
}
