import { randomBytes } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import { Allowance } from "./allowance.js";
import { type Answer, Load } from "./load.js";
import type { FleetOptions } from "./options.js";
import { Phase } from "./phases.js";
import type { StoreEvent } from "./policy.js";
import { type FleetProxy, startProxy } from "./proxy.js";
import { RedisServer } from "./redis.js";
import { Server } from "./servers.js";

/** How long the service may take to be as before once Redis is back, in milliseconds. */
export const RECOVERY_MS = 2000;
/** Timers that the machine is watched with, in milliseconds from one to the next. */
const WATCH_MS = 20;
/** How much longer a phase may last until the limit is reached: servers that have just begun answer slowly at first, in milliseconds. */
const LIMIT_REACHED_MS = 5000;
/** How long the servers may take to find each other, in milliseconds. */
const MEETING_MS = 30_000;

/** What happened, for the report. */
export interface Outcome {
  readonly phases: readonly Phase[];
  /** From the return of Redis until every server had served a session; `undefined`: it did not in time. */
  readonly normalAfterMs: number | undefined;
  /** Sessions that were served while there was no Redis to read them from. */
  readonly inventedSessions: number;
  /** What the servers told of their stores. */
  readonly storeEvents: readonly (StoreEvent & { readonly server: number })[];
  /** How late a timer of this process came at most, in milliseconds: what the machine did beside it. */
  readonly latestTimerMs: number;
  /** Of everything that was started. */
  readonly pids: readonly number[];
}

/** A time without Redis. */
interface Outage {
  readonly fromMs: number;
  untilMs: number;
}

/** Plays the five phases; everything it started is ended when it is done. */
export class Scenario {
  readonly #options: FleetOptions;
  readonly #say: (line: string) => void;
  readonly #allowance = new Allowance();
  readonly #phases: Phase[] = [];
  readonly #storeEvents: (StoreEvent & { readonly server: number })[] = [];
  readonly #pids = new Set<number>();
  readonly #timers = monitorEventLoopDelay({ resolution: WATCH_MS });
  #outage: Outage | undefined;
  #redisBackAtMs = 0;
  #inventedSessions = 0;
  /** By server, when it served a session for the first time after Redis came back. */
  readonly #normalAt = new Map<string, number>();

  constructor(options: FleetOptions, say: (line: string) => void) {
    this.#options = options;
    this.#say = say;
  }

  async run(): Promise<Outcome> {
    const redis = await RedisServer.start();
    const servers = this.#makeServers(redis.url);
    await Promise.all(servers.map((server) => server.start()));
    const met = await until(MEETING_MS, () => servers.every((server) => server.processesKnown === servers.length));
    if (!met) throw new Error(`the servers know ${servers.map((server) => server.processesKnown)} processes`);
    const proxy = await startProxy(servers.map(({ port }) => port));
    this.#introduce(redis, servers, proxy);

    const load = new Load(proxy.port, (answer) => this.#onAnswer(answer));
    this.#timers.enable();
    await this.#play(redis, servers, load);
    await load.stop();
    this.#timers.disable();
    this.#finishPhase();

    await proxy.close();
    await Promise.all([redis.kill(), ...servers.map((server) => server.kill())]);
    return this.#outcome(servers);
  }

  async #play(redis: RedisServer, servers: readonly Server[], load: Load): Promise<void> {
    this.#begin("normal");
    this.#allowance.redisStarts(Date.now());
    load.start();
    await this.#phaseTime();

    this.#begin("Redis killed");
    await redis.kill();
    this.#outage = { fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY };
    this.#allowance.redisEnds(Date.now());
    await this.#phaseTime();

    this.#begin("Redis back, empty");
    // Everyone is signed out.
    load.expectNewSessions();
    this.#outage.untilMs = Date.now();
    this.#allowance.redisStarts(Date.now());
    await redis.start();
    this.#redisBackAtMs = Date.now();
    this.#pids.add(redis.pid);
    await Promise.all([this.#phaseTime(), this.#normal(servers)]);

    const victim = servers[servers.length - 1];
    if (victim === undefined) return;
    this.#begin("a server killed");
    await victim.kill();
    this.#allowance.serverEnds(victim.number, Date.now());
    await this.#phaseTime();

    await victim.start();
    this.#pids.add(victim.pid);
    this.#begin("the server back");
    await this.#phaseTime();
  }

  #makeServers(redisUrl: string): readonly Server[] {
    const { processes, lease } = this.#options;
    const settings = { redisUrl, sessionSecret: randomBytes(32).toString("base64url"), lease: String(lease ?? "off") };
    return Array.from({ length: processes }, (_, index) => {
      const number = index + 1;
      return new Server(number, settings, (event) => {
        this.#storeEvents.push({ ...event, server: number });
        this.#allowance.storeChanged(number, event);
      });
    });
  }

  #introduce(redis: RedisServer, servers: readonly Server[], proxy: FleetProxy): void {
    for (const { pid } of [redis, ...servers]) this.#pids.add(pid);
    this.#say(`redis-server on port ${redis.port} (pid ${redis.pid}) in ${redis.folder}`);
    for (const { number, port, pid } of servers) this.#say(`server ${number} on port ${port} (pid ${pid})`);
    this.#say(`proxy on http://127.0.0.1:${proxy.port}`);
  }

  #begin(name: string): void {
    this.#finishPhase();
    this.#say(`phase: ${name}`);
    this.#phases.push(new Phase(name, Date.now()));
  }

  /** What one phase left of its limit is there in the next. */
  #finishPhase(): void {
    const phase = this.#phases.at(-1);
    if (phase === undefined) return;
    phase.endedAtMs = Date.now();
    const takenBefore = this.#phases.slice(0, -1).reduce((sum, { taken }) => sum + taken, 0);
    phase.limit = this.#allowance.upTo(phase.endedAtMs) - takenBefore;
  }

  /** The time of a phase, and as much more as it takes until the limit has let something through and refused something. */
  async #phaseTime(): Promise<void> {
    await wait(this.#options.phaseSeconds * 1000);
    const phase = this.#phases.at(-1);
    await until(LIMIT_REACHED_MS, () => phase === undefined || (phase.admitted > 0 && phase.refused > 0));
  }

  #onAnswer(answer: Answer): void {
    this.#phases.at(-1)?.add(answer);
    if (answer.path !== "/visits" || answer.status !== 200 || this.#outage === undefined) return;
    const { fromMs, untilMs } = this.#outage;
    if (answer.askedAtMs > fromMs && answer.answeredAtMs < untilMs) this.#inventedSessions++;
    const { servedBy } = answer;
    if (answer.answeredAtMs < untilMs || servedBy === undefined || this.#normalAt.has(servedBy)) return;
    this.#normalAt.set(servedBy, answer.answeredAtMs);
  }

  /** Waits until every server has served a session again, but not for ever. */
  async #normal(servers: readonly Server[]): Promise<void> {
    await until(RECOVERY_MS, () => this.#normalAt.size === servers.length);
  }

  #outcome(servers: readonly Server[]): Outcome {
    const last = Math.max(...this.#normalAt.values());
    return {
      phases: this.#phases,
      normalAfterMs: this.#normalAt.size === servers.length ? Math.max(0, last - this.#redisBackAtMs) : undefined,
      inventedSessions: this.#inventedSessions,
      storeEvents: this.#storeEvents,
      latestTimerMs: Math.max(0, this.#timers.max / 1e6 - WATCH_MS),
      pids: [...this.#pids],
    };
  }
}

/** Waits until something is so, and says whether it came to that in time. */
async function until(milliseconds: number, condition: () => boolean): Promise<boolean> {
  const end = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > end) return false;
    await wait(10);
  }
  return true;
}
