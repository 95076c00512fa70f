import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../clock.js";
import type { RegisteredClaims } from "../jwt/claims.js";
import { MemoryRevocationList, type RevocationList } from "../jwt/revocation.js";
import type { RedisArgument, RedisConnection } from "./connection.js";
import {
  argumentsOf,
  GRACE_MS,
  type News,
  REVOCATION_SCRIPTS,
  type RevocationEntry,
  readList,
  readNews,
  revocationKeys,
} from "./revocation-scripts.js";

/** Options of `RedisRevocations`. */
export interface RedisRevocationsOptions {
  readonly clock?: Clock | undefined;
  /** Most token ids and most subjects that are remembered here, each. Default 1,000,000. */
  readonly maxEntries?: number | undefined;
}

/** How often Redis is asked for news, should no message have told of any. */
const POLL_MS = 250;
/** The copy counts as current so long after the last answer: with the time of an answer less than a second. */
const CURRENT_MS = 900;
/** How long `open` waits for the first answer. */
const OPEN_MS = 2000;
/** Entries in one call. */
const CHUNK = 500;
/** Subjects are remembered at least so long: who revokes need not know the lifetime of all tokens. */
const DAY_SECONDS = 86_400;

/**
 * A list of revoked tokens that all machines with the same Redis share.
 *
 * Requests are judged by a copy in memory. A message tells each process of a change at once; and as
 * messages can be lost, each asks four times a second what is new since the last change that it
 * knows. When Redis comes back without what it had, every process tells it again what it knows.
 */
export class RedisRevocations implements RevocationList {
  readonly #connection: RedisConnection;
  readonly #keys: readonly string[];
  readonly #channel: string;
  readonly #clock: Clock;
  readonly #copy: MemoryRevocationList;
  readonly #listeners = new Set<() => void>();
  /** The state of the shared list that the copy has; no epoch before the first. */
  #epoch = "";
  #seq = "0";
  /** Something is known here that Redis may not know. */
  #mustPush = false;
  #isCurrent = false;
  #currentUntilMs = Number.NEGATIVE_INFINITY;
  #failure: string | undefined;
  #opening: Promise<void> | undefined;
  /** Ends the waiting of `open`. */
  #stopWaiting: () => void = () => {};
  #poll: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  #syncAgain = false;
  #isClosed = false;

  constructor(connection: RedisConnection, options: RedisRevocationsOptions = {}) {
    this.#connection = connection;
    this.#keys = revocationKeys(connection.prefix);
    this.#channel = `${connection.prefix}:revocation:{r}:news`;
    this.#clock = options.clock ?? systemClock;
    this.#copy = new MemoryRevocationList({ clock: this.#clock, maxEntries: options.maxEntries ?? 1_000_000 });
  }

  /**
   * Whether Redis has been heard of within the last second. The clock says so: after a standstill of the
   * process, requests that wait are served before timers.
   */
  get isCurrent(): boolean {
    return this.#isCurrent && systemClock.monotonicMs() < this.#currentUntilMs;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  /** How many token ids and subjects are known here. */
  get size(): number {
    return this.#copy.size;
  }

  isRevoked(claims: RegisteredClaims): boolean {
    return this.#copy.isRevoked(claims);
  }

  revokedUntilMs(sub: string): number | undefined {
    return this.#copy.revokedUntilMs(sub);
  }

  /** Rejects when Redis could not be told; it is told with the next answer then, and known here at once. */
  revoke(jti: string, expiresAt: number | undefined): Promise<void> {
    this.#copy.revoke(jti, expiresAt);
    const expiresMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt * 1000;
    return this.#tell({ kind: "t", name: jti, untilMs: 0, expiresMs });
  }

  /** Rejects when Redis could not be told; it is told with the next answer then, and known here at once. */
  revokeAll(sub: string, nowMs: number, lifetime = DAY_SECONDS): Promise<void> {
    const seconds = Math.max(DAY_SECONDS, lifetime);
    this.#copy.revokeAll(sub, nowMs, seconds);
    return this.#tell({ kind: "s", name: sub, untilMs: nowMs, expiresMs: nowMs + seconds * 1000 });
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
    this.#listeners.clear();
    this.#stopWaiting();
  }

  async #open(): Promise<void> {
    if (this.#isClosed) return;
    this.#poll = setInterval(() => this.#syncNow(false), POLL_MS).unref();
    const listener = { onMessage: () => this.#syncNow(true), onConnected: () => this.#syncNow(true) };
    this.#connection.subscribe(this.#channel, listener).catch(() => {
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
  }

  async #tell(entry: RevocationEntry): Promise<void> {
    try {
      await this.#add([entry]);
    } catch (error) {
      this.#mustPush = true;
      throw error;
    }
  }

  async #add(entries: readonly RevocationEntry[]): Promise<void> {
    await this.#run(REVOCATION_SCRIPTS.add, [randomUUID(), this.#channel, ...entries.flatMap(argumentsOf)]);
  }

  #run(script: (typeof REVOCATION_SCRIPTS)["add"], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#connection.run(script, this.#keys, args);
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
      if (this.#mustPush) await this.#push();
      for (;;) {
        const news = await this.#askNews();
        if (news.mustReload) await this.#reload(news);
        for (const { seq, entry } of news.changes) {
          this.#apply(entry);
          this.#seq = seq;
        }
        if (!news.mustReload && news.changes.length < CHUNK) break;
      }
      this.#heard();
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
    }
  }

  async #askNews(): Promise<News> {
    return readNews(await this.#run(REVOCATION_SCRIPTS.news, [randomUUID(), this.#epoch, this.#seq, CHUNK]));
  }

  /** Loads the whole list; before that, what is known here goes to a Redis that has begun anew. */
  async #reload({ epoch, seq }: News): Promise<void> {
    if (epoch !== this.#epoch && this.#copy.size > 0) await this.#push();
    for (const kind of ["t", "s"] as const) {
      let cursor = "0";
      do {
        const part = readList(kind, await this.#run(REVOCATION_SCRIPTS.list, [kind, cursor, CHUNK]));
        for (const entry of part.entries) this.#apply(entry);
        cursor = part.cursor;
      } while (cursor !== "0");
    }
    // Only now: should this have been broken off, it begins again. What was added meanwhile is in the log.
    this.#epoch = epoch;
    this.#seq = seq;
  }

  /** Tells Redis all that is known here; what it knows already is no news and costs it little. */
  async #push(): Promise<void> {
    // What cannot be told from now on must be told again.
    this.#mustPush = false;
    try {
      let chunk: RevocationEntry[] = [];
      for (const entry of this.#known()) {
        if (chunk.push(entry) < CHUNK) continue;
        await this.#add(chunk);
        chunk = [];
      }
      if (chunk.length > 0) await this.#add(chunk);
    } catch (error) {
      this.#mustPush = true;
      throw error;
    }
  }

  *#known(): Generator<RevocationEntry> {
    const now = this.#clock.wallMs();
    for (const [name, seconds] of this.#copy.tokens) {
      if (seconds * 1000 + GRACE_MS > now) yield { kind: "t", name, untilMs: 0, expiresMs: seconds * 1000 };
    }
    const lifetimeMs = this.#copy.subjectLifetime * 1000;
    for (const [name, untilMs] of this.#copy.subjects) {
      if (untilMs + lifetimeMs + GRACE_MS > now) yield { kind: "s", name, untilMs, expiresMs: untilMs + lifetimeMs };
    }
  }

  #apply({ kind, name, untilMs, expiresMs }: RevocationEntry): void {
    if (kind === "s") this.#copy.revokeAll(name, untilMs, (expiresMs - untilMs) / 1000);
    else this.#copy.revoke(name, expiresMs === Number.POSITIVE_INFINITY ? undefined : expiresMs / 1000);
  }

  #heard(): void {
    if (this.#isClosed) return;
    this.#currentUntilMs = systemClock.monotonicMs() + CURRENT_MS;
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
    if (isCurrent) {
      this.#failure = undefined;
      this.#stopWaiting();
    }
    for (const listener of this.#listeners) listener();
  }
}
