import type { Clock } from "../../core/clock.js";
import type { MaybePromise } from "../../core/later.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../../limits/store.js";
import { Batch, type KeyCall, type LimitConnection } from "./batch.js";
import { type FleetSize, Leases } from "./leases.js";
import { type LocalKey, Refusal, type WaitingRequest } from "./local-keys.js";
import { Charge, type RefusalListener, Reset } from "./operations.js";
import { boundedKey, type LimitPlan, LimitPlans } from "./plan.js";

/** With leases, a key that is out is not asked for again before so many milliseconds, or this share of its window. */
const LEASED_PAUSE_MS = 20;
const LEASED_PAUSES_IN_WINDOW = 50;

/** What limits in Redis work with. */
export interface RedisRateLimitParts {
  readonly fleet: FleetSize;
  /** Units that a process takes at a time; `undefined`: every decision asks Redis. */
  readonly lease: "auto" | number | undefined;
  readonly clock: Clock;
}

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
  readonly #plans: LimitPlans;
  readonly #batch: Batch;
  readonly #leases: Leases | undefined;

  constructor(connection: LimitConnection, { fleet, lease, clock }: RedisRateLimitParts) {
    this.#clock = clock;
    this.#plans = new LimitPlans(connection.prefix);
    const leases = lease === undefined ? undefined : new Leases(lease, fleet, clock);
    this.#leases = leases;
    this.#batch = new Batch(connection, clock, (call) =>
      leases?.accompany(call, this.#batch, (local, error) => this.#serve(call.plan, call.key, local, error)),
    );
  }

  consume(policy: RateLimitPolicy, key: string, cost: number): MaybePromise<RateLimitDecision> {
    const plan = this.#plans.of(policy);
    const bounded = boundedKey(key);
    return cost < 0
      ? this.#giveBack(plan, bounded, -cost, policy.requestsInForce)
      : this.#take(plan, bounded, cost, policy.requestsInForce);
  }

  peek(policy: RateLimitPolicy, key: string, cost = 1): MaybePromise<RateLimitDecision> {
    const plan = this.#plans.of(policy);
    const bounded = boundedKey(key);
    const local = plan.locals.get(bounded)?.lease?.peek(cost, this.#clock.monotonicMs());
    if (local !== undefined) return local;
    const price = plan.figures.price(cost, policy.requestsInForce);
    return this.#batch.callFor(plan, bounded).decide("peek", price);
  }

  charge(policy: RateLimitPolicy, key: string, cost: number): Promise<RateLimitDecision> {
    const plan = this.#plans.of(policy);
    const bounded = boundedKey(key);
    const charge = new Charge(plan.figures, cost, policy.requestsInForce);
    this.#withoutLease(plan, bounded).operations.push(charge);
    return charge.done.finally(() => forgetRefusal(plan, bounded));
  }

  reset(policy: RateLimitPolicy, key: string): Promise<void> {
    const plan = this.#plans.of(policy);
    const bounded = boundedKey(key);
    const call = this.#withoutLease(plan, bounded);
    const reset = new Reset();
    call.operations.push(reset);
    return reset.done.finally(() => forgetRefusal(plan, bounded));
  }

  /** Gives back all leases. Decisions that are under way are waited for. */
  async close(): Promise<void> {
    this.#leases?.close(this.#batch);
    await this.#batch.settled();
    // A lease that was on its way has come.
    this.#leases?.close(this.#batch);
    await this.#batch.settled();
  }

  /** The next call for a key, which gives back what is held here and forgets that the key was out. */
  #withoutLease(plan: LimitPlan, key: string): KeyCall {
    const call = this.#batch.callFor(plan, key);
    const local = plan.locals.get(key);
    if (local !== undefined) {
      local.refusal = undefined;
      this.#leases?.report(local, call);
    }
    return call;
  }

  #take(plan: LimitPlan, key: string, cost: number, inForce: number): MaybePromise<RateLimitDecision> {
    const local = plan.locals.get(key);
    if (local !== undefined) {
      const nowMs = this.#clock.monotonicMs();
      const { refusal } = local;
      const refused = refusal?.answer(cost, inForce, nowMs);
      if (refusal !== undefined && refused !== undefined) {
        if (!refusal.takeQuestion(nowMs)) return refused;
        return this.#ask(plan, key, cost, inForce).then(
          (decision) => {
            if (decision.isAllowed && local.refusal === refusal) local.refusal = undefined;
            return decision;
          },
          // Nobody is set free by an outage.
          () => refused,
        );
      }
      if (local.waiting !== undefined) return waitWith(local.waiting, cost, inForce);
      const taken = local.lease?.take(cost, nowMs);
      if (taken !== undefined) {
        local.use(cost, nowMs);
        return taken;
      }
    }
    return this.#ask(plan, key, cost, inForce);
  }

  #ask(plan: LimitPlan, key: string, cost: number, inForce: number): Promise<RateLimitDecision> {
    if (this.#leases !== undefined) this.#meter(plan, key, cost);
    const onRefused: RefusalListener = (price, decision, heldMs, sentMs) => {
      const pauseMs =
        this.#leases === undefined ? 0 : Math.min(LEASED_PAUSE_MS, plan.windowMs / LEASED_PAUSES_IN_WINDOW);
      const refusal = new Refusal(price, decision, sentMs, heldMs, pauseMs);
      plan.locals.refuse(key, refusal, this.#clock.monotonicMs());
    };
    return this.#batch.callFor(plan, key).decide("take", plan.figures.price(cost, inForce), onRefused);
  }

  #meter(plan: LimitPlan, key: string, cost: number): void {
    const nowMs = this.#clock.monotonicMs();
    plan.locals.open(key, nowMs)?.use(cost, nowMs);
  }

  #giveBack(plan: LimitPlan, key: string, cost: number, inForce: number): MaybePromise<RateLimitDecision> {
    const local = plan.locals.get(key);
    if (local !== undefined) local.refusal = undefined;
    const kept = local?.lease?.giveBack(cost, this.#clock.monotonicMs());
    if (kept !== undefined) return kept;
    const answer = this.#batch.callFor(plan, key).decide("give", plan.figures.price(cost, inForce));
    // A refusal from before may have come in between.
    return answer.finally(() => forgetRefusal(plan, key));
  }

  /** Answers those that waited for a lease, in the order in which they came. */
  #serve(plan: LimitPlan, key: string, local: LocalKey, error: unknown): void {
    const waiting = local.waiting ?? [];
    local.waiting = undefined;
    for (const { cost, inForce, resolve, reject } of waiting) {
      if (error === undefined) resolve(this.#take(plan, key, cost, inForce));
      else reject(error);
    }
  }
}

function waitWith(waiting: WaitingRequest[], cost: number, inForce: number): Promise<RateLimitDecision> {
  return new Promise((resolve, reject) => waiting.push({ cost, inForce, resolve, reject }));
}

function forgetRefusal(plan: LimitPlan, key: string): void {
  const local = plan.locals.get(key);
  if (local !== undefined) local.refusal = undefined;
}
