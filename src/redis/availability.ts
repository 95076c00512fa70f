import type { Socket } from "node:net";
import { systemClock } from "../core/clock.js";
import { Deadline } from "./deadline.js";
import {
  isOutage,
  isReplyError,
  mayAskAgain,
  RedisDeadlineError,
  RedisUnavailableError,
  withoutCommand,
} from "./failures.js";
import { type RedisClient, SILENCE_MS } from "./options.js";

/** Milliseconds from a failure to the first trial; doubled after each that fails, up to the longest. */
const FIRST_TRIAL_MS = 1;
const LONGEST_TRIAL_MS = 250;

export interface NodeParts {
  readonly deadlineMs: number;
  /** The connection to it; `undefined` while there is none. */
  readonly connection: () => RedisClient | undefined;
  /** Whether its connection is to be waited for: the first one, and each one to a node of a Cluster. */
  readonly isAwaited: () => boolean;
  readonly lookFor: () => void;
  /** Why there is no connection, as far as the client said. */
  readonly lastError: () => Error | undefined;
}

/**
 * One server, as this process sees it. A command that it does not answer in time opens a circuit
 * breaker: the next ones fail at once. Trials are made beside the requests, and none waits for one. So
 * a dead server costs a request one deadline at most, and mostly nothing.
 */
export class RedisNode {
  readonly #parts: NodeParts;
  /** Why it is not asked now; `undefined`: it is. */
  outage: RedisUnavailableError | undefined;
  #trialTimer: NodeJS.Timeout | undefined;
  #trialMs = FIRST_TRIAL_MS;
  #isTrying = false;
  #isClosed = false;
  /** What is held back until the end of this turn, to be written in one piece: the socket, and the deadlines. */
  #held: { readonly stream: Socket | undefined; readonly deadlines: Deadline[] } | undefined;
  /** Bytes that had been heard on a connection when something was heard last, and when that was. */
  #heard: { readonly stream: Socket | undefined; readonly bytes: number; readonly atMs: number } | undefined;
  /** What is written as soon as a connection is ready. */
  #waiting: (() => void)[] = [];
  #awaited: RedisClient | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /**
   * Asks, whether the node is down or not.
   *
   * @param command writes it, and is not called any more when the deadline has passed
   * @param isCollected `true`: written now. `false`: with what else is asked in this turn of the event loop
   */
  ask<Answer>(command: () => Promise<Answer>, isCollected: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown) => {
        deadline.end();
        reject(this.#explain(error));
      };
      const deadline = new Deadline(this.#parts.deadlineMs, failed);
      const write = () => {
        // It was told as failed: it must not be carried out now.
        if (deadline.isOver) return;
        try {
          this.#hold(deadline, isCollected);
          command().then((answer) => {
            deadline.end();
            resolve(answer);
          }, failed);
          if (isCollected) this.#flush();
        } catch (error) {
          failed(error);
        }
      };
      const connection = this.#parts.connection();
      if (connection === undefined || connection.status === "ready") return write();
      if (!this.#parts.isAwaited()) return failed(undefined);
      deadline.start();
      this.#whenReady(connection, write);
    });
  }

  /** It did not do what it was asked: should it be unable to, the next fail at once. */
  failed(error: unknown): void {
    if (this.outage !== undefined || this.#isClosed || !isOutage(error)) return;
    const message = error instanceof Error ? error.message : String(error);
    const storeCause = error instanceof RedisDeadlineError ? error.storeCause : "connection";
    this.outage = new RedisUnavailableError(message, { cause: error, storeCause });
    this.#noteHeard();
    this.#scheduleTrial();
  }

  tryNow(): void {
    if (this.outage !== undefined) void this.#try();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#trialTimer);
  }

  #whenReady(connection: RedisClient, write: () => void): void {
    this.#waiting.push(write);
    if (this.#awaited === connection) return;
    this.#awaited = connection;
    connect(connection);
    connection.once("ready", () => {
      const waiting = this.#waiting;
      this.#waiting = [];
      this.#awaited = undefined;
      for (const one of waiting) one();
    });
  }

  /** Collects what one turn of the event loop writes, so that it goes out in one piece (docs/performance.md). */
  #hold(deadline: Deadline, isCollected: boolean): void {
    if (this.#held !== undefined) {
      this.#held.deadlines.push(deadline);
    } else if (isCollected) {
      deadline.start();
    } else {
      const stream = streamOf(this.#parts.connection());
      this.#held = { stream, deadlines: [deadline] };
      stream?.cork();
      setImmediate(() => this.#flush());
    }
  }

  #flush(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    held.stream?.uncork();
    for (const deadline of held.deadlines) deadline.start();
  }

  /** Says in a line what a lost connection means; ioredis speaks of its retries. */
  #explain(error: unknown): unknown {
    withoutCommand(error);
    if (isReplyError(error) || mayAskAgain(error)) return error;
    if (this.#parts.connection()?.status === "ready" && error !== undefined) return error;
    const lastError = this.#parts.lastError();
    const reason = lastError === undefined ? "" : `: ${lastError.message}`;
    return new RedisUnavailableError(`no connection to Redis${reason}`, { cause: error ?? lastError });
  }

  #scheduleTrial(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#trialTimer);
    this.#trialTimer = setTimeout(() => void this.#try(), this.#trialMs);
    this.#trialTimer.unref();
  }

  /** One PING that closes the breaker, or another later. */
  async #try(): Promise<void> {
    if (this.#isTrying || this.#isClosed) return;
    this.#isTrying = true;
    const isUp = await this.#isUp();
    this.#isTrying = false;
    if (isUp) {
      this.outage = undefined;
      this.#trialMs = FIRST_TRIAL_MS;
      return;
    }
    this.#trialMs = Math.min(LONGEST_TRIAL_MS, this.#trialMs * 2);
    this.#scheduleTrial();
    // After what has arrived was read.
    setImmediate(() => this.#endSilent());
  }

  async #isUp(): Promise<boolean> {
    const connection = this.#parts.connection();
    if (connection === undefined) {
      this.#parts.lookFor();
      return false;
    }
    connect(connection);
    // Before that a PING could only wait for the connection, and be kept in memory.
    if (connection.status !== "ready") return false;
    try {
      await this.ask(() => connection.ping(), true);
      return true;
    } catch (error) {
      return !isOutage(error);
    }
  }

  /**
   * Ends a connection on which nothing was heard for a while although there was something to answer, so
   * that the client makes another: a network that was cut tells nobody.
   */
  #endSilent(): void {
    const before = this.#heard;
    this.#noteHeard();
    const connection = this.#parts.connection();
    // What is connecting has a time of its own, which is longer where TLS is far away.
    if (connection?.status !== "ready" && connection?.status !== "connect") return;
    if (before === undefined || this.#heard !== before || this.outage === undefined) return;
    if (systemClock.monotonicMs() - before.atMs < SILENCE_MS) return;
    this.#heard = undefined;
    before.stream?.destroy();
  }

  #noteHeard(): void {
    const stream = streamOf(this.#parts.connection());
    const bytes = stream?.bytesRead ?? 0;
    if (this.#heard !== undefined && this.#heard.stream === stream && this.#heard.bytes === bytes) return;
    this.#heard = { stream, bytes, atMs: systemClock.monotonicMs() };
  }
}

/** The socket of a client; a Cluster has many, and none of its own. */
function streamOf(connection: RedisClient | undefined): Socket | undefined {
  // ioredis has none before it connects, whatever its types say.
  const stream: Socket | undefined = connection !== undefined && "stream" in connection ? connection.stream : undefined;
  return stream;
}

/** A client that is made lazily waits for its first command to connect. */
export function connect(client: { status: string; connect(): Promise<unknown> }): void {
  if (client.status === "wait") client.connect().catch(() => {});
}
