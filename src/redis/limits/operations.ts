import type { RateLimitDecision } from "../../limits/store.js";
import type { LimitFigures, Price, RunAnswer } from "./figures.js";

/** What stands in the arguments of a script of limits. */
export type Argument = string | number;

/** One thing that a script does with a key. */
export interface Operation {
  /** Appends its name and arguments. */
  write(args: Argument[]): void;
  /**
   * Reads its answer.
   *
   * @param at where its numbers begin
   * @param sentMs when it was sent, on the monotonic clock
   * @returns where the next operation's numbers begin
   */
  read(reply: readonly number[], at: number, sentMs: number): number;
  fail(error: unknown): void;
}

/** Hears that a key is out. */
export type RefusalListener = (price: Price, decision: RateLimitDecision, heldMs: number, sentMs: number) => void;

interface Waiting {
  resolve(decision: RateLimitDecision): void;
  reject(error: unknown): void;
}

/**
 * Like requests for one key in a row. They go as one operation with a count: of requests that cost the
 * same, the first ones are admitted and the others are not.
 */
export class Run implements Operation {
  readonly #waiting: Waiting[] = [];

  constructor(
    readonly name: "take" | "peek" | "give",
    readonly figures: LimitFigures,
    readonly price: Price,
    readonly onRefused: RefusalListener | undefined,
  ) {}

  /** Whether another request may join. */
  accepts(name: Run["name"], { cost, inForce }: Price): boolean {
    return this.name === name && name !== "give" && this.price.cost === cost && this.price.inForce === inForce;
  }

  add(): Promise<RateLimitDecision> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  write(args: Argument[]): void {
    args.push(this.name, ...this.price.figures);
    if (this.name === "take") args.push(this.#waiting.length);
    if (this.name === "peek") args.push(1);
  }

  read(reply: readonly number[], at: number, sentMs: number): number {
    const answer = this.figures.readRun(reply, at, this.price);
    if (this.name === "take") this.#settle(answer, sentMs);
    else this.#tellAll(answer.allowed > 0 ? answer.admitted(0) : answer.refused(answer.unreduced > 0));
    return at + this.figures.answerLength;
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
  }

  #settle(answer: RunAnswer, sentMs: number): void {
    let refusal: RateLimitDecision | undefined;
    for (const [index, { resolve }] of this.#waiting.entries()) {
      if (index < answer.allowed) {
        resolve(answer.admitted(index + 1));
        continue;
      }
      const wasReduced = index < answer.unreduced;
      if (refusal?.wasReduced !== wasReduced) refusal = answer.refused(wasReduced);
      resolve(refusal);
    }
    if (refusal !== undefined) this.onRefused?.(this.price, refusal, answer.heldMs, sentMs);
  }

  #tellAll(decision: RateLimitDecision): void {
    for (const { resolve } of this.#waiting) resolve(decision);
  }
}

/** Takes units whether the key has them or not. */
export class Charge implements Operation {
  readonly done: Promise<RateLimitDecision>;
  #resolve: (decision: RateLimitDecision) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    readonly figures: LimitFigures,
    readonly cost: number,
    readonly inForce: number,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  write(args: Argument[]): void {
    args.push("charge", ...this.figures.charge(this.cost, this.inForce));
  }

  read(reply: readonly number[], at: number): number {
    // Told as to a request of one unit that comes next.
    const answer = this.figures.readRun(reply, at, this.figures.price(1, this.inForce));
    this.#resolve(answer.allowed > 0 ? answer.admitted(0) : answer.refused(answer.unreduced > 0));
    return at + this.figures.answerLength;
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

/** Forgets what a key has used. */
export class Reset implements Operation {
  readonly done: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  write(args: Argument[]): void {
    args.push("reset");
  }

  read(_reply: readonly number[], at: number): number {
    this.#resolve();
    return at;
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

/** Ends a lease: what of it was not used goes back. */
export class Report implements Operation {
  constructor(
    readonly leaseId: string,
    readonly unused: readonly number[],
  ) {}

  write(args: Argument[]): void {
    args.push("report", this.leaseId, ...this.unused);
  }

  read(_reply: readonly number[], at: number): number {
    return at;
  }

  // Never sent again, because it may have been carried out: the lease ends by itself.
  fail(): void {}
}

/** Takes units to decide about here. */
export class LeaseRequest implements Operation {
  constructor(
    readonly leaseId: string,
    /** Units wanted, and the fewest worth it; by what to divide what is there; the ticks the lease lasts; the price. */
    readonly terms: readonly number[],
    readonly onGranted: (units: number, state: number, more: number, sentMs: number) => void,
  ) {}

  write(args: Argument[]): void {
    args.push("lease", this.leaseId, ...this.terms);
  }

  read(reply: readonly number[], at: number, sentMs: number): number {
    this.onGranted(reply[at] ?? 0, reply[at + 1] ?? 0, reply[at + 2] ?? 0, sentMs);
    return at + 3;
  }

  fail(): void {}
}
