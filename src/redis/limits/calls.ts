import { setImmediate } from "node:timers";
import type { Clock } from "../../core/clock.js";
import type { RateLimitDecision } from "../../limits/store.js";
import type { RedisArgument, RedisConnection } from "../connection.js";
import { unexpectedReply } from "../script.js";
import type { Cost, Reply } from "./arithmetic.js";
import type { RedisLimit } from "./redis-limit.js";

export type LimitConnection = Pick<RedisConnection, "run" | "prefix" | "isCluster">;

/**
 * Operations in one call at most. A script holds up all others while it runs; and with several small calls
 * under way Redis decides about one while this process reads the answer of another.
 */
const MOST_OPERATIONS = 16;

interface Waiting {
  resolve(decision: RateLimitDecision): void;
  reject(error: unknown): void;
}

/** One thing that a script does with a key. */
export interface Operation {
  readonly name: "take" | "peek" | "give" | "charge" | "lease" | "report" | "reset";
  readonly args: readonly RedisArgument[];
  /** What its reply is read by; `undefined`: it answers nothing. */
  readonly cost: Cost | undefined;
  /**
   * Who gets its decision. Of `take` and `peek` it may be several: like requests in a row go as one operation
   * with a count, since of requests that cost the same the first ones are admitted and the others are not.
   */
  readonly waiting: Waiting[];
  /** @param sentMs when it was sent, on the monotonic clock */
  readonly onReply?: (reply: Reply, sentMs: number) => void;
}

/** What one call does with one key, in this order. */
export class Call {
  readonly operations: Operation[] = [];
  /** What is taken last, if anything is taken. */
  lastTaken: Cost | undefined;
  #onSettled: ((error?: unknown) => void)[] = [];

  constructor(
    readonly limit: RedisLimit,
    readonly key: string,
    readonly slot: number,
  ) {}

  /** Asks for a decision, together with the one before when that is alike. */
  decide(name: "take" | "peek" | "give", amount: number, inForce: number): Promise<RateLimitDecision> {
    const last = this.operations.at(-1);
    const isAlike = last?.name === name && last.cost?.amount === amount && last.cost.inForce === inForce;
    if (last !== undefined && isAlike && name !== "give") return decisionOf(last);
    const cost = this.limit.arithmetic.costOf(amount, inForce);
    if (name === "take") this.lastTaken = cost;
    return this.ask({ name, args: cost.figures, cost, waiting: [] });
  }

  ask(operation: Operation): Promise<RateLimitDecision> {
    this.operations.push(operation);
    return decisionOf(operation);
  }

  /** Tells when the answer was read, or that an error came instead. */
  whenSettled(listener: (error?: unknown) => void): void {
    this.#onSettled.push(listener);
  }

  settle(error?: unknown): void {
    const listeners = this.#onSettled;
    this.#onSettled = [];
    for (const listener of listeners) listener(error);
  }

  fail(error: unknown): void {
    for (const { waiting } of this.operations) for (const { reject } of waiting) reject(error);
    this.settle(error);
  }
}

function decisionOf({ waiting }: Operation): Promise<RateLimitDecision> {
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
}

export interface CallListeners {
  /** Before a call is sent; more may be added to it. */
  beforeSending(call: Call): void;
  refused(call: Call, cost: Cost, decision: RateLimitDecision, heldMs: number, sentMs: number): void;
}

/** Collects what one turn of the event loop asks, and sends it in as few calls as can be. */
export class Batch {
  readonly #connection: LimitConnection;
  readonly #clock: Clock;
  readonly #listeners: CallListeners;
  #calls: Call[] = [];
  readonly #underWay = new Set<Promise<void>>();

  constructor(connection: LimitConnection, clock: Clock, listeners: CallListeners) {
    this.#connection = connection;
    this.#clock = clock;
    this.#listeners = listeners;
  }

  /** What the next call will do with this key. */
  callFor(limit: RedisLimit, key: string): Call {
    const pending = limit.pending.get(key);
    if (pending !== undefined && pending.operations.length < MOST_OPERATIONS) return pending;
    const call = new Call(limit, key, limit.slotOf(key));
    limit.pending.set(key, call);
    // Of the module, which fake timers leave alone: nothing would be sent otherwise.
    if (this.#calls.length === 0) setImmediate(() => this.#flush());
    this.#calls.push(call);
    return call;
  }

  async settled(): Promise<void> {
    this.#flush();
    await Promise.all(this.#underWay);
  }

  #flush(): void {
    const calls = this.#calls;
    this.#calls = [];
    // Not cleared: a cleared Map leads on to its new table, so tables that grew old would keep all later calls.
    for (const { limit } of calls) if (limit.pending.size > 0) limit.pending = new Map();
    for (const call of calls) this.#listeners.beforeSending(call);
    for (const group of groupsOf(calls, this.#connection.isCluster)) {
      const answered = this.#send(group).finally(() => this.#underWay.delete(answered));
      this.#underWay.add(answered);
    }
  }

  async #send(calls: readonly Call[]): Promise<void> {
    const first = calls[0];
    if (first === undefined) return;
    const sentMs = this.#clock.monotonicMs();
    const keys = calls.map(({ limit, key, slot }) => limit.nameOf(key, slot));
    try {
      const answer = await this.#connection.run(first.limit.arithmetic.script, keys, writeCalls(calls), true);
      this.#read(calls, answer, sentMs);
    } catch (error) {
      // Those that have their answer do not hear this any more.
      for (const call of calls) call.fail(error);
    }
  }

  #read(calls: readonly Call[], answer: unknown, sentMs: number): void {
    if (!isNumbers(answer)) throw unexpectedReply("list of numbers");
    let at = 0;
    for (const call of calls) {
      const { arithmetic } = call.limit;
      for (const operation of call.operations) {
        if (operation.cost === undefined) continue;
        const reply = arithmetic.read(answer, at, operation.cost);
        at += arithmetic.replyLength;
        if (operation.name === "take") this.#settleTaken(call, operation, reply, sentMs);
        else settleAlike(operation, reply);
        operation.onReply?.(reply, sentMs);
      }
      call.settle();
    }
  }

  #settleTaken(call: Call, { waiting, cost }: Operation, reply: Reply, sentMs: number): void {
    let refusal: RateLimitDecision | undefined;
    for (const [index, { resolve }] of waiting.entries()) {
      if (index < reply.allowed) {
        resolve(reply.admitted(index + 1));
        continue;
      }
      const wasReduced = index < reply.unreduced;
      if (refusal?.wasReduced !== wasReduced) refusal = reply.refused(wasReduced);
      resolve(refusal);
    }
    if (refusal === undefined || cost === undefined) return;
    this.#listeners.refused(call, cost, refusal, reply.heldMs, sentMs);
  }
}

/** All are told the same: of what was given back, charged or only looked at, as to a request that comes next. */
function settleAlike({ waiting }: Operation, reply: Reply): void {
  if (waiting.length === 0) return;
  const decision = reply.allowed > 0 ? reply.admitted(0) : reply.refused(reply.unreduced > 0);
  for (const { resolve } of waiting) resolve(decision);
}

/** Calls that can go together: of one script, in a Cluster of one hash tag, and not too much at once. */
function groupsOf(calls: readonly Call[], isCluster: boolean): readonly (readonly Call[])[] {
  const groups: Call[][] = [];
  const open = new Map<string, { readonly group: Call[]; operations: number }>();
  for (const call of calls) {
    const { sha1 } = call.limit.arithmetic.script;
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

/**
 * The arguments of a script, as its frame says. What is wanted of several keys in a row is written once, behind their
 * number: with 1,000 keys that saves a third of what a token bucket costs Redis (docs/performance.md).
 */
function writeCalls(calls: readonly Call[]): RedisArgument[] {
  const numbers = new Map<RedisLimit, number>();
  for (const { limit } of calls) if (!numbers.has(limit)) numbers.set(limit, numbers.size + 1);
  const args: RedisArgument[] = [numbers.size];
  for (const { arithmetic } of numbers.keys()) args.push(...arithmetic.policy);
  let last = { begin: 0, end: 0, keys: 0 };
  for (const { limit, operations } of calls) {
    const begin = args.length;
    args.push(1, numbers.get(limit) ?? 0, operations.length);
    for (const { name, args: own, waiting } of operations) {
      args.push(name, ...own);
      if (name === "take") args.push(waiting.length);
      if (name === "peek") args.push(1);
    }
    if (isRepeated(args, last, begin)) {
      args.length = begin;
      args[last.begin] = ++last.keys;
    } else {
      last = { begin, end: args.length, keys: 1 };
    }
  }
  return args;
}

/** Whether what was written last, behind its number of keys, is what stands before it. */
function isRepeated(
  args: readonly RedisArgument[],
  { begin, end }: { begin: number; end: number },
  from: number,
): boolean {
  if (args.length - from !== end - begin) return false;
  for (let index = 1; index < end - begin; index++) if (args[begin + index] !== args[from + index]) return false;
  return true;
}

function isNumbers(answer: unknown): answer is readonly number[] {
  return Array.isArray(answer) && answer.every((value) => typeof value === "number");
}
