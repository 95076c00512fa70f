import { type CircuitBreakerPolicy, CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from "cockatiel";
import { systemClock } from "../clock.js";
import { type RedisClient, type RedisSettings, SENT_AT_ONCE } from "./options.js";
import type { Script } from "./script.js";
import { type ChannelListener, RedisSubscriber } from "./subscriber.js";

/** What stands in a command: a key or an argument. */
export type RedisArgument = string | number | Buffer;

export type { ChannelListener } from "./subscriber.js";

/**
 * Commands in a row without an answer after which Redis counts as down. One is enough where there is
 * one server: a request that asks twice must not wait twice. In a Cluster the others may be well.
 */
const FAILURES_TO_OPEN = { server: 1, cluster: 5 } as const;
/** Milliseconds from then to the first trial; doubled after each that fails, up to the longest. */
const FIRST_TRIAL_MS = 1;
const LONGEST_TRIAL_MS = 250;
/** A timer that comes so many milliseconds late tells of this process and not of Redis, */
const LATE_MS = 5;
/** which has as many more then. */
const GRACE_MS = 15;

/** Redis did not answer in time. */
export class RedisDeadlineError extends Error {
  override readonly name = "RedisDeadlineError";
}

/** There is no connection to Redis, or it is known not to answer. */
export class RedisUnavailableError extends Error {
  override readonly name = "RedisUnavailableError";
}

const CLOSED = new RedisUnavailableError("the store is closed");

/**
 * The way to Redis: every command has a deadline, and one that is missed opens a circuit breaker, so
 * that the next fail at once. Trials are made beside the requests: none of them waits for one. So a
 * dead Redis costs a request one deadline at most, and mostly nothing.
 */
export class RedisConnection {
  readonly prefix: string;
  /** Whether it is a Cluster, where the keys of one command must share a hash slot. */
  readonly isCluster: boolean;
  readonly #client: RedisClient;
  readonly #ownsClient: boolean;
  readonly #deadlineMs: number;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #subscriber: RedisSubscriber;
  /** Settles when the client was ready for the first time. */
  readonly #firstReady: Promise<void>;
  #wasReady: boolean;
  #isClosed = false;
  /** Why the client is not connected, as far as it says. */
  #lastError: Error | undefined;
  /** What is answered while the breaker is open. */
  #outage = new RedisUnavailableError("Redis does not answer");
  #trialTimer: NodeJS.Timeout | undefined;
  #trialMs = FIRST_TRIAL_MS;
  #isTrying = false;
  readonly #onReady: () => void;

  constructor({ client, ownsClient, prefix, deadlineMs }: RedisSettings) {
    this.prefix = prefix;
    this.isCluster = client.isCluster;
    this.#client = client;
    this.#ownsClient = ownsClient;
    this.#deadlineMs = deadlineMs;
    this.#subscriber = new RedisSubscriber(client);
    this.#breaker = circuitBreaker(handleWhen(isOutage), {
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN[this.isCluster ? "cluster" : "server"]),
      // Only trials are let through while it is open, and their pace is set here.
      halfOpenAfter: 0,
    });
    this.#breaker.onBreak((reason) => this.#opened("error" in reason ? reason.error : undefined));
    this.#wasReady = client.status === "ready";
    let announce = () => {};
    this.#firstReady = this.#wasReady ? Promise.resolve() : new Promise((resolve) => (announce = resolve));
    this.#onReady = () => {
      this.#wasReady = true;
      announce();
      if (this.#isDown) void this.#try();
    };
    client.on("ready", this.#onReady);
    // What is emitted without a listener, ioredis prints; failures are told by the commands that meet them.
    if (ownsClient) client.on("error", (error: Error) => (this.#lastError = withoutCommand(error)));
  }

  /**
   * Waits for the first connection, for a time.
   *
   * @returns whether Redis is connected
   */
  async open(milliseconds: number): Promise<boolean> {
    this.#connectLazy();
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([this.#firstReady, timeout]);
    clearTimeout(timer);
    return this.#wasReady;
  }

  /**
   * Runs a script by its hash, and loads it where the server does not have it.
   *
   * @param keys all in one hash slot, should Redis be a Cluster
   * @returns what the script returns; rejects when Redis fails or does not answer in time
   */
  run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.send((client) => runScript(client, script, keys, args));
  }

  /**
   * Like `run`, for a call that collected already what one turn of the event loop asks: the client does
   * not hold it back to send it with others, where it was made here.
   */
  runCollected(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.send((client) => runScript(client, script, keys, args, SENT_AT_ONCE));
  }

  /** Sends commands, all of them under one deadline, unless Redis is known to be down. */
  send<Answer>(command: (client: RedisClient) => Promise<Answer>): Promise<Answer> {
    if (this.#isClosed) return Promise.reject(CLOSED);
    if (this.#isDown) return Promise.reject(this.#outage);
    return this.#breaker.execute(() => this.#attempt(command));
  }

  /**
   * Listens to a channel, on a connection of its own that subscribes again after a break. The
   * listener's `onConnected` tells from when on it hears everything.
   */
  async subscribe(channel: string, listener: ChannelListener): Promise<void> {
    if (!this.#isClosed) this.#subscriber.listen(channel, listener);
  }

  /** Ends the connections that were made here; commands fail at once from now on. Calling it again does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#trialTimer);
    this.#client.off("ready", this.#onReady);
    this.#subscriber.close();
    if (this.#ownsClient) this.#client.disconnect();
  }

  get #isDown(): boolean {
    return this.#breaker.state !== CircuitState.Closed;
  }

  #attempt<Answer>(command: (client: RedisClient) => Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const miss = () => {
        isLate = true;
        reject(this.#explain(new RedisDeadlineError(`Redis did not answer within ${this.#deadlineMs} ms`)));
      };
      const startMs = systemClock.monotonicMs();
      let timer = setTimeout(() => {
        const isLoopLate = systemClock.monotonicMs() - startMs > this.#deadlineMs + LATE_MS;
        // What has arrived meanwhile is read before the immediate; after a busy moment of this process
        // the command may have just left.
        if (isLoopLate) timer = setTimeout(miss, GRACE_MS);
        else setImmediate(miss);
      }, this.#deadlineMs);
      const failed = (error: unknown) => {
        clearTimeout(timer);
        reject(this.#explain(error));
      };
      const send = () => {
        // It was told as failed: it must not be carried out now.
        if (isLate) return;
        if (this.#client.status !== "ready") return failed(undefined);
        try {
          command(this.#client).then((answer) => {
            clearTimeout(timer);
            resolve(answer);
          }, failed);
        } catch (error) {
          failed(error);
        }
      };
      if (this.#wasReady) return send();
      this.#connectLazy();
      this.#firstReady.then(send, failed);
    });
  }

  /** A client of the application may wait for its first command to connect. */
  #connectLazy(): void {
    if (this.#client.status === "wait") this.#client.connect().catch(ignore);
  }

  /** Says in a line what a lost connection means; ioredis speaks of its retries. */
  #explain(error: unknown): unknown {
    withoutCommand(error);
    if (this.#client.status === "ready" && error !== undefined) return error;
    const reason = this.#lastError === undefined ? "" : `: ${this.#lastError.message}`;
    return new RedisUnavailableError(`no connection to Redis${reason}`, { cause: error ?? this.#lastError });
  }

  #opened(reason: unknown): void {
    const message = reason instanceof Error ? reason.message : String(reason);
    this.#outage = new RedisUnavailableError(message, { cause: reason });
    this.#scheduleTrial();
  }

  #scheduleTrial(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#trialTimer);
    this.#trialTimer = setTimeout(() => void this.#try(), this.#trialMs);
    this.#trialTimer.unref();
  }

  /** One PING that closes the breaker, or another later. */
  async #try(): Promise<void> {
    // Before the first connection a trial could only wait for it, and be kept in memory: `#onReady` makes one then.
    if (this.#isTrying || this.#isClosed || !this.#wasReady) return;
    this.#isTrying = true;
    try {
      await this.#breaker.execute(() => this.#attempt((client) => client.ping()));
      this.#trialMs = FIRST_TRIAL_MS;
    } catch {
      this.#trialMs = Math.min(LONGEST_TRIAL_MS, this.#trialMs * 2);
    } finally {
      this.#isTrying = false;
    }
    if (this.#isDown) this.#scheduleTrial();
  }
}

/** An error that Redis answered shows that Redis is there. */
function isOutage(error: Error): boolean {
  return error.name !== "ReplyError";
}

/** ioredis hangs the command with its arguments on errors: the data of a session, or a password. */
function withoutCommand<Thrown>(error: Thrown): Thrown {
  if (error instanceof Error) Reflect.deleteProperty(error, "command");
  return error;
}

async function runScript(
  client: RedisClient,
  { sha1, source }: Script,
  keys: readonly string[],
  args: readonly RedisArgument[],
  command: "evalsha" | typeof SENT_AT_ONCE = "evalsha",
): Promise<unknown> {
  try {
    if (command === SENT_AT_ONCE) return await client.call(command, sha1, keys.length, ...keys, ...args);
    return await client.evalsha(sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return client.eval(source, keys.length, ...keys, ...args);
  }
}

function ignore(): void {}
