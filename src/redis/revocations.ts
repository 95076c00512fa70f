import { systemClock } from "../core/clock.js";
import type { StoreErrorCause } from "../core/events.js";
import { causeOf } from "../core/store-guard.js";
import type { RegisteredClaims } from "../jwt/claim-rules.js";
import type { RevocationList } from "../jwt/revocation.js";
import type { RedisConnection } from "./connection.js";
import { RECENT_MS, RevocationCopy, type RevocationEntry } from "./revocation-copy.js";
import { CHUNK, type News, RevocationTransfer } from "./revocation-transfer.js";

/** Most token ids and most subjects that are remembered here, each. */
const MAX_ENTRIES = 1_000_000;
/** How often Redis is asked for news: a revocation holds everywhere within a second, with time for three failures. */
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

/** How much of the shared list a copy holds; `stale`: all of it once, and it may have missed something since. */
type Completeness = "none" | "stale" | "whole";
/** What a process can say to `news` about filling an empty list. */
const CAN_FILL = { none: 0, whole: 1, stale: 2 } as const satisfies Record<Completeness, number>;

/**
 * A list of revoked tokens that all machines with the same Redis share.
 *
 * Requests are judged by a copy in memory. Each process asks four times a second what is new since the last
 * change that it knows.
 *
 * When Redis comes back without what it had, a process whose copy is whole goes on with it. One of them
 * fills the list anew, and another goes on where it stopped should it die. Each tells at once what it
 * learned last, and compares the list with its copy when it is whole. A process that knows nothing
 * waits until then.
 */
export class RedisRevocations implements RevocationList {
  readonly #copy: RevocationCopy;
  readonly #transfer: RevocationTransfer;
  readonly #listeners = new Set<() => void>();
  /** The state of the shared list that the copy has; no epoch before the first. */
  #epoch = "";
  #seq = "0";
  #completeness: Completeness = "none";
  /** The epoch whose whole list the copy was compared with, or was made from. */
  #comparedEpoch = "";
  #untold: RevocationEntry[] = [];
  /** When the last question was asked that was answered. */
  #askedMs = Number.NEGATIVE_INFINITY;
  #failure: { readonly message: string; readonly cause: StoreErrorCause | undefined } | undefined;
  /** What the listeners know. */
  #told: "current" | "behind" | "failed" = "behind";
  #opening: Promise<void> | undefined;
  /** Ends the waiting of `open`, while it waits. */
  #stopWaiting: (() => void) | undefined;
  #poll: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  /** Fills the list, or compares it with the copy, beside what is asked and told. */
  #work: Promise<void> | undefined;
  #isClosed = false;

  constructor(connection: RedisConnection) {
    this.#copy = new RevocationCopy(MAX_ENTRIES);
    this.#transfer = new RevocationTransfer(connection, this.#copy);
  }

  /**
   * Whether Redis has been heard of within the last second. The clock says so: after a standstill of the
   * process, requests that wait are served before timers. What counts is when it was asked: the answer may
   * have waited for this process.
   */
  get isCurrent(): boolean {
    return systemClock.monotonicMs() < this.#askedMs + CURRENT_MS;
  }

  get failure(): string | undefined {
    return this.#failure?.message;
  }

  get failureCause(): StoreErrorCause | undefined {
    return this.#failure?.cause;
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
  revoke(jti: string, expiresAt = Number.POSITIVE_INFINITY): Promise<void> {
    return this.#tell({ kind: "t", name: jti, untilMs: 0, expiresMs: expiresAt * 1000 });
  }

  /** Rejects when Redis could not be told; it is told with the next answer then, and known here at once. */
  revokeAll(sub: string, nowMs: number, lifetime = DAY_SECONDS): Promise<void> {
    const expiresMs = nowMs + Math.max(DAY_SECONDS, lifetime) * 1000;
    return this.#tell({ kind: "s", name: sub, untilMs: nowMs, expiresMs });
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
    if (!this.isCurrent && !this.#isClosed) onChange?.();
  }

  /** Stops following. The connection is closed by who made it. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#soon);
    this.#listeners.clear();
    this.#stopWaiting?.();
  }

  async #open(): Promise<void> {
    if (this.#isClosed) return;
    this.#poll = setInterval(() => {
      this.#tellChange();
      this.#syncNow();
    }, POLL_MS).unref();
    let timeout: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timeout = setTimeout(resolve, OPEN_MS);
      this.#stopWaiting = resolve;
      this.#syncNow();
    });
    clearTimeout(timeout);
    this.#stopWaiting = undefined;
  }

  async #tell(entry: RevocationEntry): Promise<void> {
    this.#copy.learn(entry);
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
      this.#syncNow();
      await this.#syncing;
      if (this.#failure !== undefined || this.#isClosed) return false;
    }
    return true;
  }

  #syncNow(): void {
    if (this.#isClosed) return;
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
    });
  }

  /** Never rejects. */
  async #sync(): Promise<void> {
    try {
      await this.#tellUntold();
      for (;;) {
        const askedMs = systemClock.monotonicMs();
        const news = await this.#transfer.ask(this.#epoch, this.#seq, CAN_FILL[this.#completeness]);
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

  async #tellUntold(): Promise<void> {
    const untold = this.#untold;
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
      this.#failed("Redis has lost the list of revoked tokens, and it is not filled yet", "refused");
      clearTimeout(this.#soon);
      if (!this.#isClosed) this.#soon = setTimeout(() => this.#syncNow(), WAIT_POLL_MS).unref();
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
    const isCompared = this.#completeness !== "whole" || this.#comparedEpoch === epoch;
    if (phase === "whole" && isCompared) return;
    const work = phase === "fill" ? this.#fill(epoch, filled) : this.#compare(epoch);
    this.#work = work
      .catch(() => {
        // It begins again with the next answer, from where it stopped.
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  async #fill(epoch: string, filled: number): Promise<void> {
    const isWhole = await this.#transfer.fill(epoch, filled);
    if (isWhole && this.#completeness === "whole") this.#comparedEpoch = epoch;
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

  #failed(message: string, cause: StoreErrorCause | undefined): void {
    this.#failure = { message, cause };
    this.#tellChange();
  }

  #heard(askedMs: number): void {
    if (this.#isClosed) return;
    this.#failure = undefined;
    this.#askedMs = askedMs;
    this.#stopWaiting?.();
    this.#tellChange();
  }

  #tellChange(): void {
    const now = this.isCurrent ? "current" : this.#failure === undefined ? "behind" : "failed";
    // While `open` waits nobody serves requests, and nothing has failed.
    if (now === this.#told || (now === "failed" && this.#stopWaiting !== undefined)) return;
    this.#told = now;
    for (const listener of this.#listeners) listener();
  }
}
