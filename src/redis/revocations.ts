import { type Clock, systemClock } from "../core/clock.js";
import type { StoreErrorCause } from "../core/events.js";
import { causeOf } from "../core/store-health.js";
import type { RegisteredClaims } from "../jwt/claims.js";
import type { RevocationList } from "../jwt/revocation.js";
import type { RedisConnection } from "./connection.js";
import type { News, RevocationEntry } from "./revocation-answers.js";
import { RECENT_MS, RevocationCopy } from "./revocation-copy.js";
import { CHUNK, RevocationTransfer } from "./revocation-transfer.js";

/** Options of `RedisRevocations`. */
export interface RedisRevocationsOptions {
  readonly clock?: Clock | undefined;
  /** Most token ids and most subjects that are remembered here, each. Default 1,000,000. */
  readonly maxEntries?: number | undefined;
}

/** How often Redis is asked for news, should no message have told of any. */
const POLL_MS = 250;
/** How often a list that is not whole is asked for, by a process that knows nothing. */
const WAIT_POLL_MS = 50;
/** The copy counts as current so long after the last question that was answered. */
const CURRENT_MS = 900;
/** How long `open` waits for the first answer. */
const OPEN_MS = 2000;
/** Subjects are remembered at least so long: who revokes need not know the lifetime of all tokens. */
const DAY_SECONDS = 86_400;
/** Processes compare their copies with a list that was filled anew one after the other, within so many milliseconds. */
const COMPARE_WITHIN_MS = 2000;

/**
 * A list of revoked tokens that all machines with the same Redis share.
 *
 * Requests are judged by a copy in memory. A message tells each process of a change at once; and as
 * messages can be lost, each asks four times a second what is new since the last change that it
 * knows.
 *
 * When Redis comes back without what it had, a process whose copy is whole goes on with it. One of them
 * fills the list anew, and another goes on where it stopped should it die. Each tells at once what it
 * learned last, and compares the list with its copy when it is whole. A process that knows nothing
 * waits until then.
 */
export class RedisRevocations implements RevocationList {
  readonly #connection: RedisConnection;
  readonly #copy: RevocationCopy;
  readonly #transfer: RevocationTransfer;
  readonly #listeners = new Set<() => void>();
  /** The state of the shared list that the copy has; no epoch before the first. */
  #epoch = "";
  #seq = "0";
  /** Whether the copy holds the whole list; `stale`: it did once, and may have missed something since. */
  #completeness: "none" | "stale" | "whole" = "none";
  /** The epoch whose whole list the copy was compared with, or was made from. */
  #comparedEpoch = "";
  /** What could not be told. */
  #untold: RevocationEntry[] = [];
  #isCurrent = false;
  /** When the last question was asked that was answered. */
  #askedMs = Number.NEGATIVE_INFINITY;
  #failure: string | undefined;
  #failureCause: StoreErrorCause | undefined;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  /** Ends the waiting of `open`. */
  #stopWaiting: () => void = () => {};
  #poll: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  #syncAgain = false;
  /** Fills the list, or compares it with the copy, beside what is asked and told. */
  #work: Promise<void> | undefined;
  #isClosed = false;

  constructor(connection: RedisConnection, options: RedisRevocationsOptions = {}) {
    this.#connection = connection;
    this.#copy = new RevocationCopy(options.clock ?? systemClock, options.maxEntries ?? 1_000_000);
    this.#transfer = new RevocationTransfer(connection, this.#copy);
  }

  /**
   * Whether Redis has been heard of within the last second. The clock says so: after a standstill of the
   * process, requests that wait are served before timers. What counts is when it was asked: the answer may
   * have waited for this process.
   */
  get isCurrent(): boolean {
    return this.#isCurrent && systemClock.monotonicMs() < this.#askedMs + CURRENT_MS;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  get failureCause(): StoreErrorCause | undefined {
    return this.#failureCause;
  }

  /** How many token ids and subjects are known here. */
  get size(): number {
    return this.#copy.list.size;
  }

  isRevoked(claims: RegisteredClaims): boolean {
    return this.#copy.list.isRevoked(claims);
  }

  revokedUntilMs(sub: string): number | undefined {
    return this.#copy.list.revokedUntilMs(sub);
  }

  /** Rejects when Redis could not be told; it is told with the next answer then, and known here at once. */
  revoke(jti: string, expiresAt: number | undefined): Promise<void> {
    this.#copy.list.revoke(jti, expiresAt);
    const expiresMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt * 1000;
    return this.#tell({ kind: "t", name: jti, untilMs: 0, expiresMs });
  }

  /** Rejects when Redis could not be told; it is told with the next answer then, and known here at once. */
  revokeAll(sub: string, nowMs: number, lifetime = DAY_SECONDS): Promise<void> {
    const seconds = Math.max(DAY_SECONDS, lifetime);
    this.#copy.list.revokeAll(sub, nowMs, seconds);
    return this.#tell({ kind: "s", name: sub, untilMs: nowMs, expiresMs: nowMs + seconds * 1000 });
  }

  catchUp(): Promise<boolean> | undefined {
    if (this.#isClosed || this.#failure !== undefined || this.#opening === undefined) return undefined;
    return this.#catchUp(systemClock.monotonicMs() - CURRENT_MS);
  }

  /**
   * Begins to follow the shared list.
   *
   * @param onChange is called when `isCurrent` changes
   * @returns a promise that is kept when the list has been loaded, or two seconds have passed
   */
  async open(onChange?: () => void): Promise<void> {
    if (onChange !== undefined) this.#listeners.add(onChange);
    this.#opening ??= this.#open();
    await this.#opening;
    // Not loaded in time: that is a change from what everybody hopes.
    if (!this.#isCurrent && !this.#isClosed) onChange?.();
  }

  /** Stops following. The connection is closed by who made it. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#expiry);
    clearTimeout(this.#soon);
    this.#listeners.clear();
    this.#stopWaiting();
  }

  async #open(): Promise<void> {
    if (this.#isClosed) return;
    this.#poll = setInterval(() => this.#syncNow(false), POLL_MS).unref();
    const listener = { onMessage: () => this.#syncNow(true), onConnected: () => this.#syncNow(true) };
    this.#connection.subscribe(this.#transfer.channel, listener).catch(() => {
      // Without messages the poll remains, which is soon enough.
    });
    await new Promise<void>((resolve) => {
      const timeout = setTimeout(resolve, OPEN_MS);
      this.#stopWaiting = () => {
        clearTimeout(timeout);
        resolve();
      };
      this.#syncNow(true);
    });
    this.#isOpen = true;
  }

  async #tell(entry: RevocationEntry): Promise<void> {
    this.#copy.note(entry);
    try {
      await this.#transfer.tell([entry]);
    } catch (error) {
      this.#untold.push(entry);
      throw error;
    }
  }

  /** Asks until the answer to a question of that moment or later is here; `false` when it fails. */
  async #catchUp(sinceMs: number): Promise<boolean> {
    while (this.#askedMs < sinceMs) {
      this.#syncNow(false);
      await this.#syncing;
      if (this.#failure !== undefined || this.#isClosed) return false;
    }
    return true;
  }

  /** @param isNews `true`: should it be asking already, it asks once more */
  #syncNow(isNews: boolean): void {
    if (this.#isClosed) return;
    if (this.#syncing !== undefined) {
      this.#syncAgain ||= isNews;
      return;
    }
    this.#syncAgain = false;
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = undefined;
      if (this.#syncAgain) this.#syncNow(false);
    });
  }

  /** Never rejects. */
  async #sync(): Promise<void> {
    try {
      await this.#tellUntold();
      for (;;) {
        const askedMs = systemClock.monotonicMs();
        const news = await this.#transfer.ask(this.#epoch, this.#seq, this.#canFill);
        if (news.isBehind) {
          if (await this.#follow(news)) continue;
          return;
        }
        for (const { seq, entry } of news.changes) {
          this.#copy.learn(entry);
          this.#seq = seq;
        }
        this.#tend(news);
        if (news.changes.length >= CHUNK) continue;
        this.#heard(askedMs);
        return;
      }
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error), causeOf(error));
    }
  }

  get #canFill(): 0 | 1 | 2 {
    return this.#completeness === "whole" ? 1 : this.#completeness === "stale" ? 2 : 0;
  }

  async #tellUntold(): Promise<void> {
    const untold = this.#untold;
    if (untold.length === 0) return;
    this.#untold = [];
    try {
      await this.#transfer.tell(untold);
    } catch (error) {
      this.#untold.push(...untold);
      throw error;
    }
  }

  /**
   * Goes over to another epoch, or to a log that does not reach back to what is known here.
   *
   * @returns whether to go on asking now
   */
  async #follow(news: News): Promise<boolean> {
    if (this.#completeness === "whole") {
      if (this.#knowsAllBefore(news)) {
        // First of all what the others may have missed.
        await this.#transfer.tell(this.#copy.recent(this.#askedMs));
        this.#epoch = news.epoch;
        this.#seq = news.floor;
        return true;
      }
      this.#completeness = "stale";
    }
    if (news.phase !== "whole") {
      this.#tend(news);
      this.#waitFor("Redis has lost the list of revoked tokens, and it is not filled yet");
      return false;
    }
    // Requests are not to wait for that long.
    this.#failed("the shared list of revoked tokens is being loaded", undefined);
    await this.#transfer.view();
    // A Redis that was lost meanwhile has told a part. What was added meanwhile is in the log.
    const { epoch, isBehind } = await this.#transfer.ask(news.epoch, news.seq, 0);
    if (epoch !== news.epoch || isBehind) return true;
    this.#completeness = "whole";
    this.#epoch = news.epoch;
    this.#seq = news.seq;
    this.#comparedEpoch = news.epoch;
    return true;
  }

  /**
   * Whether what this copy lacks is in the log, or about to be told by those who learned it: each tells
   * what it learned in the last minute.
   */
  #knowsAllBefore({ epoch, floor }: News): boolean {
    if (epoch === this.#epoch) return false;
    if (systemClock.monotonicMs() - this.#askedMs > RECENT_MS) return false;
    return Number(floor) <= Number(this.#seq);
  }

  /** Does its part of filling the list, or of comparing it, beside. */
  #tend({ epoch, phase, filled }: News): void {
    if (this.#work !== undefined || phase === "wait" || this.#isClosed) return;
    if (phase === "fill")
      this.#begin(this.#transfer.fill(epoch, filled).then((isWhole) => this.#filled(epoch, isWhole)));
    else if (this.#completeness === "whole" && this.#comparedEpoch !== epoch) this.#begin(this.#compare(epoch));
  }

  #begin(work: Promise<void>): void {
    this.#work = work
      .catch(() => {
        // It begins again with the next answer, from where it stopped.
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  #filled(epoch: string, isWhole: boolean): void {
    if (isWhole && this.#completeness === "whole") this.#comparedEpoch = epoch;
    this.#syncNow(true);
  }

  async #compare(epoch: string): Promise<void> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, Math.random() * COMPARE_WITHIN_MS).unref();
    });
    if (this.#isClosed) return;
    await this.#transfer.view();
    // Should Redis have been lost meanwhile, the next epoch is compared again.
    this.#comparedEpoch = epoch;
  }

  #waitFor(what: string): void {
    this.#failed(what, "refused");
    clearTimeout(this.#soon);
    if (!this.#isClosed) this.#soon = setTimeout(() => this.#syncNow(false), WAIT_POLL_MS).unref();
  }

  #failed(failure: string, cause: StoreErrorCause | undefined): void {
    this.#failure = failure;
    this.#failureCause = cause;
    // Until it is open everybody waits, and nothing has failed.
    if (this.isCurrent || this.#isClosed || !this.#isOpen) return;
    this.#isCurrent = false;
    for (const listener of this.#listeners) listener();
  }

  #heard(askedMs: number): void {
    if (this.#isClosed) return;
    this.#failure = undefined;
    this.#failureCause = undefined;
    this.#askedMs = askedMs;
    if (this.#expiry === undefined) {
      this.#expiry = setTimeout(() => this.#setCurrent(false), CURRENT_MS).unref();
    } else {
      this.#expiry.refresh();
    }
    this.#setCurrent(true);
  }

  #setCurrent(isCurrent: boolean): void {
    if (this.#isCurrent === isCurrent) return;
    this.#isCurrent = isCurrent;
    if (isCurrent) this.#stopWaiting();
    for (const listener of this.#listeners) listener();
  }
}
