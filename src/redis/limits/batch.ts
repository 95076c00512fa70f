import { setImmediate } from "node:timers";
import type { Clock } from "../../core/clock.js";
import type { RateLimitDecision } from "../../limits/store.js";
import type { RedisConnection } from "../connection.js";
import type { Price } from "./figures.js";
import { type Argument, type Operation, type RefusalListener, Run } from "./operations.js";
import type { LimitPlan } from "./plan.js";

/** What limits need of the way to Redis. */
export type LimitConnection = Pick<RedisConnection, "runCollected" | "prefix" | "isCluster">;

/**
 * Operations in one call at most. A script holds up all others while it runs; and with several small calls
 * under way Redis decides about one while this process reads the answer of another.
 */
const MOST_OPERATIONS = 16;

/** What one call does with one key, in this order. */
export class KeyCall {
  readonly operations: Operation[] = [];
  /** The price of what is taken last, if anything is taken. */
  lastTaken: Price | undefined;
  onSettled: ((error?: unknown) => void) | undefined;

  constructor(
    readonly plan: LimitPlan,
    readonly key: string,
    readonly slot: number,
  ) {}

  /** Asks for a decision, in a run with the one before when that is alike. */
  decide(name: Run["name"], price: Price, onRefused?: RefusalListener): Promise<RateLimitDecision> {
    if (name === "take") this.lastTaken = price;
    const last = this.operations.at(-1);
    if (last instanceof Run && last.accepts(name, price)) return last.add();
    const run = new Run(name, this.plan.figures, price, onRefused);
    this.operations.push(run);
    return run.add();
  }

  /** Told that the answer was read, or that an error came instead. */
  settle(error?: unknown): void {
    const { onSettled } = this;
    this.onSettled = undefined;
    onSettled?.(error);
  }

  fail(error: unknown): void {
    for (const operation of this.operations) operation.fail(error);
    this.settle(error);
  }
}

/** Collects what one turn of the event loop asks, and sends it in as few calls as can be. */
export class Batch {
  readonly #connection: LimitConnection;
  readonly #clock: Clock;
  readonly #beforeSending: (call: KeyCall) => void;
  #calls: KeyCall[] = [];
  /** Calls that are under way, for `settled`. */
  readonly #underWay = new Set<Promise<void>>();

  constructor(connection: LimitConnection, clock: Clock, beforeSending: (call: KeyCall) => void) {
    this.#connection = connection;
    this.#clock = clock;
    this.#beforeSending = beforeSending;
  }

  /** What the next call will do with this key. */
  callFor(plan: LimitPlan, key: string): KeyCall {
    const pending = plan.pending.get(key);
    if (pending !== undefined && pending.operations.length < MOST_OPERATIONS) return pending;
    const call = new KeyCall(plan, key, plan.slotOf(key));
    plan.pending.set(key, call);
    // Of the module, which fake timers leave alone: nothing would be sent otherwise.
    if (this.#calls.length === 0) setImmediate(() => this.flush());
    this.#calls.push(call);
    return call;
  }

  /** Sends what was collected. */
  flush(): void {
    const calls = this.#calls;
    this.#calls = [];
    // Not cleared: a cleared Map leads on to its new table, so tables that grew old would keep all later calls.
    for (const { plan } of calls) if (plan.pending.size > 0) plan.pending = new Map();
    for (const call of calls) this.#beforeSending(call);
    for (const group of groupsOf(calls, this.#connection.isCluster)) {
      const answered = this.#send(group).finally(() => this.#underWay.delete(answered));
      this.#underWay.add(answered);
    }
  }

  /** Waits for what was sent. */
  async settled(): Promise<void> {
    this.flush();
    await Promise.all(this.#underWay);
  }

  async #send(calls: readonly KeyCall[]): Promise<void> {
    const first = calls[0];
    if (first === undefined) return;
    const sentMs = this.#clock.monotonicMs();
    const keys = calls.map(({ plan, key, slot }) => plan.nameOf(key, slot));
    try {
      const reply = await this.#connection.runCollected(first.plan.figures.script, keys, writeCalls(calls));
      readCalls(calls, reply, sentMs);
    } catch (error) {
      // Those that have their answer do not hear this any more.
      for (const call of calls) call.fail(error);
    }
  }
}

/** Calls that can go together: of one script, in a Cluster of one hash tag, and not too much at once. */
function groupsOf(calls: readonly KeyCall[], isCluster: boolean): readonly (readonly KeyCall[])[] {
  const groups: KeyCall[][] = [];
  const open = new Map<string, { readonly group: KeyCall[]; operations: number }>();
  for (const call of calls) {
    const { sha1 } = call.plan.figures.script;
    const id = isCluster ? `${sha1} ${call.slot}` : sha1;
    let target = open.get(id);
    if (target === undefined || target.operations + call.operations.length > MOST_OPERATIONS) {
      target = { group: [], operations: 0 };
      open.set(id, target);
      groups.push(target.group);
    }
    target.group.push(call);
    target.operations += call.operations.length;
  }
  return groups;
}

function writeCalls(calls: readonly KeyCall[]): Argument[] {
  const numbers = new Map<LimitPlan, number>();
  for (const { plan } of calls) if (!numbers.has(plan)) numbers.set(plan, numbers.size + 1);
  const args: Argument[] = [numbers.size];
  for (const plan of numbers.keys()) args.push(...plan.figures.policy);
  let alike: AlikeKeys | undefined;
  for (const { plan, operations } of calls) {
    const begin = args.length;
    args.push(1, numbers.get(plan) ?? 0, operations.length);
    for (const operation of operations) operation.write(args);
    if (alike !== undefined && isRepeated(args, alike, begin)) {
      args.length = begin;
      args[alike.begin] = ++alike.keys;
    } else {
      alike = { begin, end: args.length, keys: 1 };
    }
  }
  return args;
}

/** Keys in a row of which the same is wanted: it is written once, behind their number. */
interface AlikeKeys {
  readonly begin: number;
  readonly end: number;
  keys: number;
}

/** Whether what was written last, behind its number of keys, is what stands before it. */
function isRepeated(args: readonly Argument[], { begin, end }: AlikeKeys, from: number): boolean {
  if (args.length - from !== end - begin) return false;
  for (let index = 1; index < end - begin; index++) if (args[begin + index] !== args[from + index]) return false;
  return true;
}

function readCalls(calls: readonly KeyCall[], reply: unknown, sentMs: number): void {
  if (!isNumbers(reply)) throw new TypeError("the answer of Redis to a script of limits is no list of numbers");
  let at = 0;
  for (const call of calls) {
    for (const operation of call.operations) at = operation.read(reply, at, sentMs);
    call.settle();
  }
}

function isNumbers(reply: unknown): reply is readonly number[] {
  return Array.isArray(reply) && reply.every((value) => typeof value === "number");
}
