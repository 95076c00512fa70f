import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import type { Batch, KeyCall } from "./batch.js";
import type { Price } from "./figures.js";
import { Lease } from "./lease.js";
import type { LocalKey } from "./local-keys.js";
import { LeaseRequest, Report } from "./operations.js";
import type { LimitPlan } from "./plan.js";

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

interface Holding {
  readonly plan: LimitPlan;
  readonly key: string;
}

/** Takes leases, reports them, and gives back those that are not used. */
export class Leases {
  readonly #size: "auto" | number;
  readonly #fleet: FleetSize;
  readonly #clock: Clock;
  readonly #processId = randomBytes(6).toString("base64url");
  #count = 0;
  readonly #holdings = new Map<LocalKey, Holding>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(size: "auto" | number, fleet: FleetSize, clock: Clock) {
    this.#size = size;
    this.#fleet = fleet;
    this.#clock = clock;
  }

  /**
   * Before a call that takes from a key goes out: reports the lease that was not enough, and asks for
   * the next.
   *
   * @param batch collects what is given back later
   * @param onSettled told with those that waited for the lease
   */
  accompany(call: KeyCall, batch: Batch, onSettled: (local: LocalKey, error: unknown) => void): void {
    const price = call.lastTaken;
    const local = call.plan.locals.get(call.key);
    if (price === undefined || local === undefined || local.waiting !== undefined) return;
    this.report(local, call);
    const { plan } = call;
    const units = Math.min(this.#wanted(local), Math.floor(plan.requests / 2));
    if (units < 1) return;
    call.operations.push(this.#request(call, local, plan.figures.price(1, price.inForce), units, batch));
    local.waiting = [];
    call.onSettled = (error) => onSettled(local, error);
  }

  /** Ends a key's lease, with the next call for the key. */
  report(local: LocalKey, call: KeyCall): void {
    const { lease } = local;
    if (lease === undefined) return;
    // From here on nothing of it is used: it may be given back at any moment.
    local.lease = undefined;
    this.#holdings.delete(local);
    call.operations.unshift(new Report(lease.id, call.plan.figures.unused(lease.price, lease.left)));
  }

  /** Gives back what was not used for a while, or may not be used any more. */
  giveBackIdle(batch: Batch): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [local, { plan, key }] of this.#holdings) {
      if (local.lease?.isIdle(nowMs, IDLE_MS) === true) this.report(local, batch.callFor(plan, key));
    }
    if (this.#holdings.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Gives everything back. */
  close(batch: Batch): void {
    for (const [local, { plan, key }] of this.#holdings) this.report(local, batch.callFor(plan, key));
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** A key that is used rarely gets no lease, and one that is nearly out none for a while. */
  #wanted(local: LocalKey): number {
    if (this.#size !== "auto") return this.#size;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < local.noLeaseUntilMs) return 0;
    const recent = Math.round(local.recentUse(nowMs));
    return recent < LEAST_UNITS ? 0 : recent;
  }

  #request(call: KeyCall, local: LocalKey, price: Price, units: number, batch: Batch): LeaseRequest {
    const { plan, key } = call;
    const { figures } = plan;
    const lifeMs = Math.min(LONGEST_LIFE_MS, plan.windowMs / LIVES_IN_WINDOW);
    const id = `${this.#processId}${(this.#count++).toString(36)}`;
    const { processes } = this.#fleet;
    const [least, divisor] = this.#size === "auto" ? [LEAST_UNITS, 2 * Math.max(1, processes)] : [1, 1];
    const terms = [units, least, divisor, figures.ticks(lifeMs), ...figures.leasePrice(price)];
    return new LeaseRequest(id, terms, (granted, state, more, sentMs) => {
      if (granted < 1) {
        local.noLeaseUntilMs = this.#clock.monotonicMs() + SCARCE_MS;
        return;
      }
      const rest = figures.rest(state, price, more);
      local.lease = new Lease(id, price, {
        units: granted,
        limit: plan.limit(price.inForce),
        // Counted from before the request was sent, so before Redis began to count.
        deadlineMs: sentMs + lifeMs * (1 - MARGIN),
        grantedMs: this.#clock.monotonicMs(),
        rest,
        spare: processes <= 1 ? rest.remaining : 0,
      });
      this.#holdings.set(local, { plan, key });
      this.#sweep ??= setInterval(() => this.giveBackIdle(batch), SWEEP_MS).unref();
    });
  }
}
